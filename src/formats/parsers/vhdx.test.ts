import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import { openFileSource } from '../../bytes/source.ts'
import { assertBounded, parseBytes } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { HEADERS, REGIONS, sealVhdx } from '../../testing/vhdx-image.ts'
import { openDisk } from '../open-disk.ts'
import { vhdxParser } from './vhdx.ts'

const DISK = sampleDisk(8 * MiB + 512)
const { converted, created, contentOf } = await qemuImages('vhdx', DISK)

/** Where qemu-img puts things, with blocks of 1 MiB. */

const BAT = 2 * MiB
const METADATA = 3 * MiB
const good = converted('-o', 'block_size=1M').then((image) => readFile(image))

async function assertGood(image: string): Promise<void> {
  await using file = await openFileSource(image)
  const disk = await openDisk(file, vhdxParser)
  assert.deepEqual(disk.findings, [])
  const [found, wanted] = [await disk.read(0, disk.size), await contentOf(image)]
  assert.equal(Buffer.compare(found, wanted), 0, 'contents differ')
}

describe('finds nothing in a VHDX that qemu-img wrote, and its content', () => {
  const variants: Record<string, string[]> = {
    'as it comes': [],
    'blocks of 1 MiB': ['-o', 'block_size=1M'],
    'blocks of 32 MiB': ['-o', 'block_size=32M'],
    'blocks of 256 MiB': ['-o', 'block_size=256M'],
    fixed: ['-o', 'subformat=fixed'],
    'fixed, blocks of 1 MiB, nothing left out': ['-S', '0', '-o', 'subformat=fixed,block_size=1M'],
    'a large log': ['-o', 'log_size=7M'],
    'absent blocks': ['-o', 'block_state_zero=off'],
    'out of order': ['-W', '-m', '8', '-o', 'block_size=1M'],
  }
  for (const [name, options] of Object.entries(variants))
    it(name, async () => assertGood(await converted(...options)))

  it('used by a machine, and closed', async () => {
    const image = await created('40M', '-o', 'block_size=1M')
    const writes = ['write -P 7 30M 3M', 'write -P 8 0 64k', 'write -z 30M 1M', 'write -P 9 5k 1k']
    await runTool(['qemu-io', '-f', 'vhdx', ...writes.flatMap((each) => ['-c', each]), image])
    await assertGood(image)
  })

  for (const [size, blockSize] of [
    ['0', '8M'],
    ['512', '1M'],
    ['64T', '256M'],
  ] as const)
    it(`empty, of ${size}`, async () => {
      const image = await created(size, '-o', `block_size=${blockSize}`)
      await using file = await openFileSource(image)
      const disk = await openDisk(file, vhdxParser)
      assert.deepEqual([disk.findings, [...disk.extents()]], [[], []])
    })
})

/** A copy with changes, whose check sums are right again. */
async function sealed(edit: (copy: Buffer) => void): Promise<Buffer> {
  const copy = Buffer.from(await good)
  edit(copy)
  sealVhdx(copy)
  return copy
}

async function codesOf(bytes: Buffer): Promise<unknown> {
  const { safe, findings } = await parseBytes(vhdxParser, bytes)
  return [safe, findings.map(({ code, severity, at }) => [code, severity, at])]
}

describe('of a VHDX', () => {
  it('one header will do, whichever it is', async () => {
    for (const at of HEADERS) {
      const image = Buffer.from(await good)
      image.writeUInt8(1, at + 100)
      assert.deepEqual(await codesOf(image), [true, [['CHECKSUM', 'warn', at]]])
    }
  })

  it('the header with the higher sequence number is in force', async () => {
    for (const [index, at] of HEADERS.entries()) {
      const image = await sealed((copy) => {
        for (const [other, header] of HEADERS.entries())
          copy.writeBigUInt64LE(index === other ? 9n : 8n, header + 8)
        copy.writeUInt8(1, at + 48)
      })
      assert.deepEqual(await codesOf(image), [false, [['DIRTY', 'refuse', at + 48]]])
    }
  })

  it('regions and items that readers need not know are passed over', async () => {
    const image = await sealed((copy) => {
      copy.fill(0, BAT, BAT + MiB) // no blocks: there is room at 4 MiB
      for (const at of REGIONS) {
        copy.writeUInt32LE(3, at + 8)
        copy.write(`${'ab'.repeat(16)}0000400000000000000010000000`, at + 80, 'hex')
      }
      copy.writeUInt16LE(6, METADATA + 10)
      copy.write(`${'cd'.repeat(16)}00000200100000000300`, METADATA + 32 + 5 * 32, 'hex')
    })
    assert.deepEqual(await codesOf(image), [true, []])
  })

  it('blocks that are undefined, zero or unmapped read as zeros, wherever they are said to be', async () => {
    for (const state of [1n, 2n, 3n]) {
      const image = await sealed((copy) => copy.writeBigUInt64LE((1n << 40n) | state, BAT))
      const { safe, extents } = await parseBytes(vhdxParser, image)
      assert.deepEqual([safe, extents[0]?.guest], [true, MiB])
    }
  })

  it('after the blocks that a bitmap covers stands its entry, which is none of a block', async () => {
    const image = await created(`${5 * 1024}M`, '-o', 'block_size=1M')
    // 4096 blocks of 1 MiB, the bitmap's entry, and block 4096.
    await runTool(['qemu-io', '-f', 'vhdx', '-c', 'write 4095M 2M', image])
    const { safe, extents } = await parseBytes(vhdxParser, await readFile(image))
    assert.deepEqual(
      [safe, extents.map(({ guest, length }) => [guest, length])],
      [true, [[4095 * MiB, 2 * MiB]]],
    )
  })
})

it('is done with a damaged VHDX within bounds, whatever was damaged', async () => {
  await assertBounded(vhdxParser, await good, [
    [METADATA, METADATA + 192],
    [METADATA + 64 * KiB, METADATA + 64 * KiB + 40],
    [BAT, BAT + 80],
  ])
})
