import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { ContentDigest } from './content-digest.ts'
import { DiskMapBuilder, UNIT } from './disk-map.ts'
import { openSparseWriter } from './sparse-writer.ts'

const at = await tempDir()

/** A write somewhere in the first units of a disk: of one byte value, often of zeros, at odd places. */
const writes = fc.array(
  fc.record({
    offset: fc.oneof(
      fc.nat(6 * UNIT),
      fc.nat(6).map((unit) => unit * UNIT),
    ),
    length: fc.oneof(fc.nat(2 * UNIT), fc.constantFrom(UNIT, 2 * UNIT, UNIT / 2)),
    value: fc.constantFrom(0, 0, 1, 255),
  }),
  { maxLength: 12 },
)

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

/** The digest as `content-digest.ts` describes it, for disks of one group. */
function expectedDigest(content: Buffer): string {
  const units: Buffer[] = []
  for (let unit = 0; unit * UNIT < content.length; unit++) {
    const bytes = content.subarray(unit * UNIT, (unit + 1) * UNIT)
    if (bytes.some((byte) => byte !== 0)) units.push(u64(unit), hash('sha256', bytes, 'buffer'))
  }
  const group = [u64(0), hash('sha256', Buffer.concat(units), 'buffer')]
  return hash(
    'sha256',
    Buffer.concat([
      Buffer.from('IngotDisk\0'),
      u64(content.length),
      ...(units.length > 0 ? group : []),
    ]),
  )
}

describe('writing a sparse disk', () => {
  it('holds what was written, and maps what is not zero, in whatever order and size it came', async () => {
    await fc.assert(
      fc.asyncProperty(writes, fc.nat(8 * UNIT), async (list, size) => {
        const expected = Buffer.alloc(10 * UNIT)
        await using writer = await openSparseWriter(at('disk'), { digest: true })
        for (const { offset, length, value } of list) {
          await writer.write(offset, Buffer.alloc(length, value))
          expected.fill(value, offset, offset + length)
        }
        const { map, contentDigest } = await writer.finish(size)
        const content = await readFile(at('disk'))
        assert.ok(content.equals(expected.subarray(0, size)))
        for (let unit = 0; unit < 10; unit++) {
          const bytes = content.subarray(unit * UNIT, (unit + 1) * UNIT)
          assert.equal(
            map.has(unit),
            bytes.some((byte) => byte !== 0),
            `unit ${unit}`,
          )
        }
        assert.equal(contentDigest, expectedDigest(content))
      }),
      { numRuns: 150 },
    )
  })

  it('sees units as a whole when they come in parts', async () => {
    await using writer = await openSparseWriter(at('parts'), { digest: true })
    const content = Buffer.alloc(4 * UNIT, 3).fill(0, UNIT, 3 * UNIT)
    for (let from = 0; from < content.length; from += 1000)
      await writer.write(from, content.subarray(from, from + 1000))
    const { map, contentDigest } = await writer.finish(content.length)
    assert.deepEqual(
      [0, 1, 2, 3].map((unit) => map.has(unit)),
      [true, false, false, true],
    )
    assert.equal(contentDigest, expectedDigest(content))
  })

  it('leaves holes where there are zeros', async () => {
    await using writer = await openSparseWriter(at('holes'))
    await writer.write(0, Buffer.alloc(8 * MiB))
    await writer.write(100 * MiB, Buffer.alloc(UNIT, 1))
    await writer.finish(1024 * MiB)
    const { size, blocks } = await stat(at('holes'))
    assert.equal(size, 1024 * MiB)
    assert.ok(blocks * 512 <= 2 * UNIT)
  })

  it('keeps what stood there until it is finished, and leaves nothing when it is not', async () => {
    await writeFile(at('kept'), 'old')
    {
      await using writer = await openSparseWriter(at('kept'))
      await writer.write(0, Buffer.alloc(UNIT, 1))
    }
    assert.equal(await readFile(at('kept'), 'utf8'), 'old')
    const names = await readdir(at('.'))
    assert.deepEqual(
      names.filter((name) => name.startsWith('.')),
      [],
    )
  })

  it('says that there is no such directory', async () => {
    await assert.rejects(openSparseWriter(at('no/disk')), failsWith('FILE_NOT_FOUND'))
  })
})

describe('the digest of content', () => {
  it('is the same in whatever order units come, also when it has to forget them', async () => {
    const builder = new DiskMapBuilder()
    const units = Array.from({ length: 1200 }, (_, index) => index * 300)
    for (const unit of units) builder.add(unit)
    const map = builder.toMap(400_000 * UNIT)
    const digestOf = async (order: number[]) => {
      let reads = 0
      const digest = new ContentDigest()
      for (const unit of order) digest.add(unit, Buffer.from(`unit ${unit}`))
      const read = async (unit: number) => {
        reads++
        return Buffer.from(`unit ${unit}`)
      }
      return { text: await digest.end(map, read), reads }
    }
    const forward = await digestOf(units)
    assert.equal(forward.reads, 0)
    const backward = await digestOf(units.toReversed())
    assert.equal(backward.text, forward.text)
    const even = units.filter((unit) => unit % 600 === 0)
    const odd = units.filter((unit) => unit % 600 !== 0)
    const mixed = await digestOf([...even, ...odd])
    assert.equal(mixed.text, forward.text)
    assert.ok(mixed.reads > 0)
  })
})
