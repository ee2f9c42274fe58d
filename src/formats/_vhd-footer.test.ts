import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../base/process.ts'
import { GiB, MiB, SECTOR } from '../base/units.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { vhdCheckSum, vhdFooter, vhdGeometry } from './_vhd-footer.ts'

const at = await tempDir()

describe('the footer of a VHD', () => {
  // Each of these sizes takes another branch of the calculation.
  for (const size of [5 * MiB, 40 * MiB, 300 * MiB, 520 * MiB, 2 * GiB, 30 * GiB, 200 * GiB])
    it(`has the geometry that qemu-img has for ${size} bytes`, async () => {
      const path = at(`${size}.vhd`)
      await runTool(['qemu-img', 'create', '-q', '-f', 'vpc', path, String(size)])
      await using file = await open(path)
      const theirs = (await file.read(Buffer.alloc(SECTOR), 0, SECTOR, 0)).buffer
      // They round the size up until it is the geometry's.
      const total = Number(theirs.readBigUInt64BE(48)) / SECTOR
      assert.deepEqual(vhdGeometry(total), {
        cylinders: theirs.readUInt16BE(56),
        heads: theirs.readUInt8(58),
        sectors: theirs.readUInt8(59),
      })
    })

  it('has the largest geometry there is from 127 GiB on', () => {
    const largest = { cylinders: 65535, heads: 16, sectors: 255 }
    assert.deepEqual(vhdGeometry(65535 * 16 * 255), largest)
    assert.deepEqual(vhdGeometry((2040 * GiB) / SECTOR), largest)
  })

  it('has a check sum over all its bytes but those of the sum', () => {
    const footer = vhdFooter({ kind: 'fixed', size: MiB, identity: 'x' })
    const sum = footer.readUInt32BE(64)
    footer.writeUInt32BE(0, 64)
    assert.equal(vhdCheckSum(footer), sum)
    assert.equal(vhdCheckSum(Buffer.from([1, 2, 3])), 0xfffffff9)
  })
})
