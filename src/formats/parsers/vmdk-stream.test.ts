import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { KiB, MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import type { FindingCode } from '../finding.ts'
import { assertBounded, assertRefused, parseBytes } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { type VmdkStream, vmdkStream } from '../../testing/vmdk-stream.ts'
import { openDisk } from '../open-disk.ts'
import { vmdkParser } from './vmdk.ts'

/** Two grain tables, with a hole of zeros between. */
const DISK = sampleDisk(40 * MiB)
const { contentOf, path } = await qemuImages('vmdk', DISK)
const GOOD = vmdkStream(DISK)

describe('a VMDK whose directory stands at the end is good, and reads back byte for byte:', () => {
  const variants: Record<string, VmdkStream> = {
    'each table after its grains': GOOD,
    'all tables after all grains': vmdkStream(DISK, { tablesLast: true }),
    'grains of zeros that tables tell of': vmdkStream(DISK, { zeroGrains: true }),
  }
  for (const [name, { bytes }] of Object.entries(variants))
    it(name, async () => {
      await using disk = await openDisk(memorySource(bytes), vmdkParser)
      assert.deepEqual(disk.findings, [])
      assert.equal(Buffer.compare(await disk.read(0, disk.size), DISK), 0)
      await writeFile(path('stream.vmdk'), bytes)
      assert.equal(Buffer.compare(await contentOf(path('stream.vmdk')), DISK), 0, 'qemu-img')
    })

  it('a last grain that is short, padded or not', async () => {
    const odd = DISK.subarray(0, MiB + 400 * KiB + 512)
    for (const padded of [true, false]) {
      const { bytes } = vmdkStream(odd, { padded })
      await using disk = await openDisk(memorySource(bytes), vmdkParser)
      assert.equal(Buffer.compare(await disk.read(0, disk.size), odd), 0, `padded: ${padded}`)
    }
  })

  it('empty', async () => {
    const { safe, findings, extents } = await parseBytes(
      vmdkParser,
      vmdkStream(Buffer.alloc(MiB)).bytes,
    )
    assert.deepEqual([safe, findings, extents], [true, [], []])
  })

  it('grains out of order', async () => {
    const { bytes, grains } = GOOD
    const [first = 0, second = 0] = grains
    // Both are noise, so their payloads are as long as each other.
    const swapped = Buffer.from(bytes)
    bytes.copy(swapped, first, second, second + (second - first))
    bytes.copy(swapped, second, first, second)
    const table = (GOOD.tables[0] ?? 0) + 512
    swapped.writeUInt32LE(second / 512, table)
    swapped.writeUInt32LE(first / 512, table + 4)
    const { safe, findings } = await parseBytes(vmdkParser, swapped)
    assert.deepEqual([safe, findings], [true, []])
  })
})

describe('refuses a VMDK whose directory stands at the end', () => {
  const [grain = 0, nextGrain = 0] = GOOD.grains
  const [table = 0, lastTable = 0] = GOOD.tables
  const { directory, footer, end } = GOOD
  const lie = (
    title: string,
    code: FindingCode,
    at: number | undefined,
    edit: (image: Buffer) => unknown,
  ) =>
    void it(title, async () => {
      const image = Buffer.from(GOOD.bytes)
      const edited = edit(image)
      await assertRefused(vmdkParser, Buffer.isBuffer(edited) ? edited : image, code, at)
    })

  describe('by its grains:', () => {
    lie('one behind the end of the disk', 'OUT_OF_RANGE', grain, (image) =>
      image.writeBigUInt64LE(BigInt(DISK.length / 512), grain),
    )
    lie('one that begins inside a grain', 'OUT_OF_RANGE', grain, (image) =>
      image.writeUInt32LE(1, grain),
    )
    lie('one beyond 2^53', 'OUT_OF_RANGE', grain, (image) => image.writeUInt8(1, grain + 7))
    lie('one twice', 'ENTRY_INVALID', nextGrain, (image) => image.writeUInt32LE(0, nextGrain))
    lie('a payload beyond all measure', 'OUT_OF_RANGE', grain + 8, (image) =>
      image.writeUInt32LE(128 * KiB + 1, grain + 8),
    )
    lie('one that is another than the table says', 'COPIES_DIFFER', undefined, (image) =>
      image.writeUInt32LE(30 * 128, grain),
    )
    lie('one that no table tells of', 'COPIES_DIFFER', undefined, (image) =>
      image.writeUInt32LE(0, table + 512),
    )
  })

  describe('by its tables:', () => {
    lie('one that tells of a grain more', 'COPIES_DIFFER', directory + 512, (image) =>
      image.writeUInt32LE(grain / 512, table + 512 + 2000),
    )
    lie('a grain of zeros, where the header knows of none', 'COPIES_DIFFER', undefined, (image) =>
      image.writeUInt32LE(1, table + 512 + 2000),
    )
    lie('one of another length', 'OUT_OF_RANGE', table, (image) => image.writeUInt32LE(5, table))
    lie('a marker of an unknown type', 'UNKNOWN_FEATURE', table + 12, (image) =>
      image.writeUInt32LE(4, table + 12),
    )
    lie('a footer in place of one', 'COPIES_DIFFER', table + 12, (image) =>
      image.writeUInt32LE(3, table + 12),
    )
    lie('the end in place of one', 'COPIES_DIFFER', table + 12, (image) => {
      image.fill(0, table, table + 512)
    })
  })

  describe('by its directory:', () => {
    lie('another length', 'OUT_OF_RANGE', directory, (image) => image.writeUInt32LE(2, directory))
    lie('a table where none stands', 'COPIES_DIFFER', directory + 512, (image) =>
      image.writeUInt32LE(table / 512, directory + 512),
    )
    lie('a table that it leaves out', 'COPIES_DIFFER', directory + 516, (image) =>
      image.writeUInt32LE(0, directory + 516),
    )
    lie('two tables in each other’s place', 'COPIES_DIFFER', directory + 512, (image) => {
      image.writeUInt32LE(lastTable / 512 + 1, directory + 512)
      image.writeUInt32LE(table / 512 + 1, directory + 516)
    })
    lie('one table twice', 'COPIES_DIFFER', directory + 516, (image) =>
      image.copy(image, directory + 516, directory + 512, directory + 516),
    )
  })

  describe('by its end:', () => {
    lie('a footer that leads elsewhere', 'COPIES_DIFFER', footer + 512 + 56, (image) =>
      image.writeUInt32LE(100, footer + 512 + 56),
    )
    lie(
      'a footer that leads nowhere',
      'COPIES_DIFFER',
      footer + 512 + 56,
      (image) => void image.fill(0xff, footer + 512 + 56, footer + 512 + 64),
    )
    lie('a footer with another size', 'COPIES_DIFFER', footer + 512 + 12, (image) =>
      image.writeUInt8(1, footer + 512 + 12),
    )
    lie('a footer that is none', 'HEADER_INVALID', footer + 512, (image) =>
      image.write('x', footer + 512),
    )
    lie('grains after the directory', 'COPIES_DIFFER', footer, (image) => {
      image.copy(image, footer, grain, grain + 512)
      image.writeUInt32LE(400, footer + 8)
    })
    lie('no end marker', 'COPIES_DIFFER', end, (image) => image.writeUInt8(1, end))
    lie('bytes behind the end', 'COPIES_DIFFER', end + 512, (image) =>
      Buffer.concat([image, Buffer.alloc(512)]),
    )
    lie('an end that is cut off', 'TRUNCATED', undefined, (image) => image.subarray(0, end))
    lie('a directory that is cut off', 'TRUNCATED', undefined, (image) =>
      image.subarray(0, directory),
    )
    lie('grains that are cut off', 'TRUNCATED', undefined, (image) =>
      image.subarray(0, grain + 1000),
    )
    lie('a redundant directory that is none', 'OVERLAP', 48, (image) => image.writeUInt8(3, 8))
  })
})

it('is done with a damaged VMDK stream within bounds, whatever was damaged', async () => {
  const { bytes, tables, directory, end } = GOOD
  await assertBounded(vmdkParser, bytes, [
    [64 * KiB, 64 * KiB + 16],
    [tables[0] ?? 0, (tables[0] ?? 0) + 600],
    [directory, end + 512],
  ])
})
