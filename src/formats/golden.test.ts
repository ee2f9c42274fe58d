import assert from 'node:assert/strict'
import { open, truncate } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { GiB, MiB, SECTOR } from '../base/units.ts'
import { loadFileCalls } from '../bytes/file-calls.ts'
import { openFileSource } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { UNIT } from './disk-map.ts'
import { adoptDisk, goldenOf } from './golden.ts'
import { openImage } from './open-image.ts'
import { makeView } from './views.ts'
import { makeParts, writeCopied } from './_write-view.ts'

const at = await tempDir()
const context = makeContext()

interface Part {
  offset: number
  length: number
  value: number
}

async function writeRaw(path: string, size: number, parts: readonly Part[]): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(size)
  for (const { offset, length, value } of parts)
    await file.write(Buffer.alloc(Math.min(length, size - offset), value), 0, null, offset)
}

async function adopt(path: string, format: 'raw' | 'qcow2') {
  await using image = await openImage(path, { format })
  const { map, identity } = await adoptDisk(image.disk, image.file, context)
  return { map, identity }
}

describe('adopting an image', () => {
  it('maps what is not zero, whatever the file’s holes say, and names it the same in every format', async () => {
    const sectors = fc.nat(30 * 128)
    const part = fc.record({
      offset: sectors.map((sector) => sector * SECTOR),
      length: fc.integer({ min: 1, max: 300 }).map((count) => count * SECTOR),
      value: fc.constantFrom(0, 0, 5),
    })
    const disks = fc.tuple(
      fc.integer({ min: 30 * 128, max: 40 * 128 }).map((count) => count * SECTOR),
      fc.array(part, { maxLength: 6 }),
    )
    const calls = await loadFileCalls()
    await fc.assert(
      fc.asyncProperty(disks, async ([size, parts]) => {
        await writeRaw(at('disk.raw'), size, parts)
        const raw = await adopt(at('disk.raw'), 'raw')
        await using source = await openFileSource(at('disk.raw'))
        for (let unit = 0; unit < raw.map.units; unit++) {
          const from = unit * UNIT
          const bytes = await source.read(from, Math.min(UNIT, size - from))
          assert.equal(
            raw.map.has(unit),
            bytes.some((byte) => byte !== 0),
            `unit ${unit}`,
          )
        }
        assert.equal((await goldenOf(source, raw.map)).identity, raw.identity)
        {
          const view = makeView('qcow2', raw)
          await using file = await open(at('disk.qcow2'), 'w')
          const origins = { disk: source, file: source }
          const to = { descriptor: file.fd, name: 'disk' }
          const parts = makeParts(origins, to, { calls, signal: context.signal })
          await writeCopied(view, origins, { file, parts }, 0, context.progress)
        }
        assert.deepEqual(await adopt(at('disk.qcow2'), 'qcow2'), raw)
      }),
      { numRuns: 25 },
    )
  })

  it('does not read what the file system knows to be a hole', async () => {
    await writeRaw(at('large.raw'), 8192 * GiB, [{ offset: 4096 * GiB, length: MiB, value: 1 }])
    const { map } = await adopt(at('large.raw'), 'raw')
    assert.equal(map.dataUnits, 16)
    assert.equal(map.select(0), (4096 * GiB) / UNIT)
  })

  it('tells disks apart that have the same map', async () => {
    const identities = new Set<string>()
    for (const value of [1, 2, 3]) {
      await writeRaw(at('a.raw'), MiB, [{ offset: 0, length: MiB, value }])
      identities.add((await adopt(at('a.raw'), 'raw')).identity)
    }
    assert.equal(identities.size, 3)
  })

  it('says so when the file has become shorter while it is being copied', async () => {
    await writeRaw(at('shrinks.raw'), 8 * MiB, [{ offset: 0, length: 8 * MiB, value: 1 }])
    await using image = await openImage(at('shrinks.raw'), { format: 'raw' })
    const golden = await adoptDisk(image.disk, image.file, context)
    await truncate(at('shrinks.raw'), 4 * MiB)
    const calls = await loadFileCalls()
    await using file = await open(at('shrinks.qcow2'), 'w')
    const origins = { disk: image.disk, file: image.file }
    const to = { descriptor: file.fd, name: 'out' }
    const parts = makeParts(origins, to, { calls, signal: context.signal })
    const view = makeView('qcow2', golden)
    const writing = writeCopied(view, origins, { file, parts }, 0, context.progress)
    await assert.rejects(writing, failsWith('IMAGE_TRUNCATED'))
  })
})
