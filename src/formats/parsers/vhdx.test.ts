import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { KiB, MiB, TiB } from '../../base/units.ts'
import { crc32c } from '../../bytes/crc32c.ts'
import { openFileSource } from '../../bytes/source.ts'
import type { FindingCode } from '../finding.ts'
import { assertBounded, parseBytes, refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { openDisk } from '../open-disk.ts'
import { vhdxParser } from './vhdx.ts'

const DISK = sampleDisk(8 * MiB + 512)
const { converted, created, contentOf } = await qemuImages('vhdx', DISK)

/** Where qemu-img puts things, with blocks of 1 MiB. */
const HEADERS = [64 * KiB, 128 * KiB] as const
const REGIONS = [192 * KiB, 256 * KiB] as const
const BAT = 2 * MiB
const METADATA = 3 * MiB
/** In the region table: the entries of the block table and of the metadata. */
const [BAT_ENTRY, METADATA_ENTRY] = [16, 48]
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
  const seal = (at: number, length: number) => {
    copy.writeUInt32LE(0, at + 4)
    copy.writeUInt32LE(~crc32c(copy.subarray(at, at + length), 0xffffffff) >>> 0, at + 4)
  }
  for (const at of HEADERS) seal(at, 4 * KiB)
  for (const at of REGIONS) seal(at, 64 * KiB)
  return copy
}

const both = (places: readonly number[], edit: (part: Buffer) => void) => (image: Buffer) => {
  for (const at of places) edit(image.subarray(at))
}
const inHeaders = (edit: (header: Buffer) => void) => both(HEADERS, edit)
const inRegions = (edit: (table: Buffer) => void) => both(REGIONS, edit)

function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex')
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}
const ITEMS = {
  parameters: guid('caa16737-fa36-4d43-b3b6-33f0aa44e76b'),
  size: guid('2fa54224-cd1b-4876-b211-5dbed83bf4b8'),
  identifier: guid('beca12ab-b2e6-4523-93ef-c309e000c746'),
  logical: guid('8141bf1d-a96f-4709-ba47-f233a8faab5f'),
  physical: guid('cda348c7-445d-4471-9cc9-e9885251c556'),
}
const entryOf = (image: Buffer, item: keyof typeof ITEMS) => image.indexOf(ITEMS[item], METADATA)
const itemOf = (image: Buffer, item: keyof typeof ITEMS) =>
  METADATA + image.readUInt32LE(entryOf(image, item) + 16)
/** qemu-img gives every file the same items in the same order. */
const entry = async (item: keyof typeof ITEMS) => entryOf(await good, item)
const value = async (item: keyof typeof ITEMS) => itemOf(await good, item)

/** A region or an item more, behind those that are there. */
const moreRegion = (id: Buffer, required: number) =>
  inRegions((table) => {
    table.writeUInt32LE(3, 8)
    id.copy(table, 80)
    table.writeBigUInt64LE(BigInt(4 * MiB), 96)
    table.writeUInt32LE(MiB, 104)
    table.writeUInt32LE(required, 108)
  })
const moreItem = (id: Buffer, flags: number, offset = 128 * KiB) => {
  return (image: Buffer) => {
    const count = image.readUInt16LE(METADATA + 10)
    const at = METADATA + 32 + count * 32
    image.writeUInt16LE(count + 1, METADATA + 10)
    id.copy(image, at)
    image.writeUInt32LE(offset, at + 16)
    image.writeUInt32LE(16, at + 20)
    image.writeUInt32LE(flags, at + 24)
  }
}
/** Where `moreItem` puts its entry. */
const MORE = METADATA + 32 + Object.keys(ITEMS).length * 32
const STRANGE = Buffer.alloc(16, 0xab)
/** So that there is room for a region more: qemu-img begins with blocks at 4 MiB. */
const withoutBlocks = (image: Buffer) => void image.fill(0, BAT, BAT + MiB)

describe('of a VHDX', () => {
  const codesOf = async (bytes: Buffer) => {
    const { safe, findings } = await parseBytes(vhdxParser, bytes)
    return [safe, findings.map(({ code, severity, at }) => [code, severity, at])]
  }

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
      withoutBlocks(copy)
      moreRegion(STRANGE, 0)(copy)
      moreItem(STRANGE, 3)(copy)
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

describe('refuses a VHDX', () => {
  const { refused } = refusals(vhdxParser, good)
  const lie = (
    title: string,
    code: FindingCode,
    at: number | Promise<number> | undefined,
    edit: (image: Buffer) => void,
  ) =>
    it(title, async () => {
      const image = await sealed(edit)
      const { safe, findings } = await parseBytes(vhdxParser, image)
      const place = await at
      const found = findings.some(
        (finding) => finding.code === code && (place === undefined || finding.at === place),
      )
      assert.ok(found && !safe, `wanted ${code} at ${place}, found ${JSON.stringify(findings)}`)
    })
  const [header] = HEADERS
  const [table] = REGIONS

  describe('by its headers:', () => {
    lie('no signature', 'HEADER_INVALID', 0, (image) => image.write('x'))
    lie(
      'no header',
      'HEADER_INVALID',
      header,
      inHeaders((part) => part.write('x')),
    )
    lie(
      'another version',
      'FORMAT_VERSION',
      undefined,
      inHeaders((part) => part.writeUInt16LE(2, 66)),
    )
    lie(
      'another log',
      'FORMAT_VERSION',
      undefined,
      inHeaders((part) => part.writeUInt16LE(1, 64)),
    )
    lie(
      'a log to be replayed',
      'DIRTY',
      undefined,
      inHeaders((part) => part.writeUInt8(1, 63)),
    )
    lie(
      'a log of no bytes',
      'MISALIGNED',
      undefined,
      inHeaders((part) => part.writeUInt32LE(0, 68)),
    )
    lie(
      'a log at an odd place',
      'MISALIGNED',
      undefined,
      inHeaders((part) => part.writeUInt8(1, 73)),
    )
    lie(
      'a log in the headers',
      'OVERLAP',
      undefined,
      inHeaders((part) => part.fill(0, 72, 80)),
    )
    lie(
      'a log in the block table',
      'OVERLAP',
      table + BAT_ENTRY + 16,
      inHeaders((part) => part.writeUInt32LE(BAT, 72)),
    )
    lie(
      'a log behind the end',
      'TRUNCATED',
      undefined,
      inHeaders((part) => part.writeUInt8(1, 77)),
    )
    lie('two headers with one number', 'COPIES_DIFFER', HEADERS[1] + 8, (image) => {
      inHeaders((part) => part.writeBigUInt64LE(7n, 8))(image)
      image.writeUInt8(1, header + 16)
    })
    refused('no check sum', 'HEADER_INVALID', header, async () => {
      const image = Buffer.from(await good)
      inHeaders((part) => part.writeUInt8(1, 4000))(image)
      return image
    })
  })

  describe('by its regions:', () => {
    lie(
      'no table',
      'HEADER_INVALID',
      table,
      inRegions((part) => part.write('x')),
    )
    refused('no check sum', 'CHECKSUM', REGIONS[1] + 4, async () => {
      const image = Buffer.from(await good)
      image.writeUInt8(1, REGIONS[1] + 60000)
      return image
    })
    lie('tables that differ', 'COPIES_DIFFER', REGIONS[1] + BAT_ENTRY + 20, (image) =>
      image.writeUInt8(1, REGIONS[1] + BAT_ENTRY + 20),
    )
    lie(
      'too many',
      'TABLE_TOO_LARGE',
      table + 8,
      inRegions((part) => part.writeUInt32LE(2048, 8)),
    )
    lie(
      'none',
      'HEADER_INVALID',
      table + 8,
      inRegions((part) => part.writeUInt32LE(0, 8)),
    )
    lie('one nobody knows', 'UNKNOWN_FEATURE', table + 80, moreRegion(STRANGE, 1))
    lie(
      'one twice',
      'HEADER_INVALID',
      table + 80,
      moreRegion(guid('2dc27766-f623-4200-9d64-115e9bfd4a08'), 1),
    )
    lie(
      'unknown flags',
      'ENTRY_INVALID',
      table + BAT_ENTRY + 28,
      inRegions((part) => part.writeUInt32LE(3, BAT_ENTRY + 28)),
    )
    lie(
      'one at an odd place',
      'MISALIGNED',
      table + BAT_ENTRY + 16,
      inRegions((part) => part.writeUInt16LE(512, BAT_ENTRY + 16)),
    )
    lie(
      'one of odd length',
      'MISALIGNED',
      table + BAT_ENTRY + 16,
      inRegions((part) => part.writeUInt32LE(4096, BAT_ENTRY + 24)),
    )
    lie(
      'one of no bytes',
      'MISALIGNED',
      table + BAT_ENTRY + 16,
      inRegions((part) => part.writeUInt32LE(0, BAT_ENTRY + 24)),
    )
    lie(
      'one behind the end',
      'TRUNCATED',
      undefined,
      inRegions((part) => part.writeUInt8(1, BAT_ENTRY + 21)),
    )
    lie(
      'one beyond 2^53',
      'OUT_OF_RANGE',
      undefined,
      inRegions((part) => part.writeUInt8(1, BAT_ENTRY + 23)),
    )
    lie(
      'one in the headers',
      'OVERLAP',
      table + BAT_ENTRY + 16,
      inRegions((part) => part.fill(0, BAT_ENTRY + 16, BAT_ENTRY + 24)),
    )
    lie(
      'two in one place',
      'OVERLAP',
      undefined,
      inRegions((part) => part.writeUInt32LE(BAT, METADATA_ENTRY + 16)),
    )
  })

  describe('by its metadata:', () => {
    lie('none', 'HEADER_INVALID', METADATA, (image) => image.write('x', METADATA))
    lie('too many items', 'TABLE_TOO_LARGE', METADATA + 10, (image) =>
      image.writeUInt16LE(2048, METADATA + 10),
    )
    lie('an item nobody knows', 'UNKNOWN_FEATURE', MORE, moreItem(STRANGE, 4))
    lie(
      'the locator of a parent',
      'PARENT',
      MORE,
      moreItem(guid('a8d35f2d-b30b-454d-abf7-d3d84834ab0c'), 0),
    )
    lie('an item twice', 'ENTRY_INVALID', MORE, moreItem(ITEMS.identifier, 6))
    lie('an item with unknown flags', 'ENTRY_INVALID', MORE + 24, moreItem(STRANGE, 8))
    lie('two items in one place', 'OVERLAP', undefined, moreItem(STRANGE, 0, 64 * KiB))
    lie('an item in the table', 'OUT_OF_RANGE', MORE + 16, moreItem(STRANGE, 0, 4096))
    lie('an item behind the region', 'OUT_OF_RANGE', MORE + 16, moreItem(STRANGE, 0, MiB - 8))
    lie(
      'an item that a user could have made',
      'ENTRY_INVALID',
      entry('size').then((at) => at + 20),
      (image) => image.writeUInt32LE(7, entryOf(image, 'size') + 24),
    )
    for (const item of Object.keys(ITEMS) as (keyof typeof ITEMS)[]) {
      lie(`no ${item}`, 'HEADER_INVALID', METADATA, (image) => {
        STRANGE.copy(image, entryOf(image, item))
        image.writeUInt32LE(0, image.indexOf(STRANGE, METADATA) + 24)
      })
      lie(
        `a ${item} of another length`,
        'ENTRY_INVALID',
        entry(item).then((at) => at + 20),
        (image) => image.writeUInt32LE(3, entryOf(image, item) + 20),
      )
    }
    for (const size of [0, 512 * KiB, 3 * MiB, 512 * MiB])
      lie(`blocks of ${size} bytes`, 'OUT_OF_RANGE', value('parameters'), (image) =>
        image.writeUInt32LE(size, itemOf(image, 'parameters')),
      )
    lie(
      'a parent',
      'PARENT',
      value('parameters').then((at) => at + 4),
      (image) => image.writeUInt32LE(2, itemOf(image, 'parameters') + 4),
    )
    lie(
      'unknown parameters',
      'UNKNOWN_FEATURE',
      value('parameters').then((at) => at + 4),
      (image) => image.writeUInt32LE(4, itemOf(image, 'parameters') + 4),
    )
    for (const item of ['logical', 'physical'] as const)
      lie(`${item} sectors of 1 KiB`, 'OUT_OF_RANGE', value(item), (image) =>
        image.writeUInt32LE(1024, itemOf(image, item)),
      )
    lie('half a sector', 'HEADER_INVALID', value('size'), (image) =>
      image.writeUInt32LE(513, itemOf(image, 'size')),
    )
    lie('a sector of 512 bytes where they have 4096', 'HEADER_INVALID', value('size'), (image) =>
      image.writeUInt32LE(4096, itemOf(image, 'logical')),
    )
    lie('more than 64 TiB', 'SIZE_LIMIT', value('size'), (image) =>
      image.writeBigUInt64LE(BigInt(64 * TiB + MiB), itemOf(image, 'size')),
    )
    lie('2^63 bytes', 'OUT_OF_RANGE', value('size'), (image) =>
      image.writeBigUInt64LE(2n ** 63n, itemOf(image, 'size')),
    )
    lie(
      'a disk too large for the block table',
      'TABLE_TOO_SMALL',
      table + BAT_ENTRY + 24,
      (image) => image.writeBigUInt64LE(BigInt(TiB), itemOf(image, 'size')),
    )
  })

  describe('by its blocks:', () => {
    const block = (title: string, code: FindingCode, at: number, content: bigint) =>
      lie(title, code, at, (image) => image.writeBigUInt64LE(content, BAT))
    const place = BigInt(4 * MiB)
    block('an unknown state', 'ENTRY_INVALID', BAT, place | 4n)
    block('a state of drafts of the format', 'ENTRY_INVALID', BAT, place | 5n)
    block('one that is partly there', 'ENTRY_INVALID', BAT, place | 7n)
    block('reserved bits', 'ENTRY_INVALID', BAT, place | 6n | 0x80000n)
    block('one in the headers', 'OVERLAP', BAT, 6n)
    block('one in the block table', 'OVERLAP', BAT, BigInt(BAT) | 6n)
    block('one behind the end', 'TRUNCATED', BAT, (1n << 45n) | 6n)
    block('one beyond 2^53', 'OUT_OF_RANGE', BAT, (1n << 63n) | 6n)
    it('one twice', async () => {
      const image = await sealed((copy) => copy.copy(copy, BAT, BAT + 8, BAT + 16))
      const { findings } = await parseBytes(vhdxParser, image)
      assert.deepEqual(
        findings.map(({ code }) => code),
        ['OVERLAP'],
      )
    })
    it('a bitmap, which only a difference has', async () => {
      const image = await readFile(await created('5G', '-o', 'block_size=1M'))
      image.writeUInt32LE(6, BAT + 4096 * 8)
      const { findings } = await parseBytes(vhdxParser, image)
      assert.deepEqual(
        findings.map(({ code, at }) => [code, at]),
        [['ENTRY_INVALID', BAT + 4096 * 8]],
      )
    })
    refused('that is cut in one', 'TRUNCATED', undefined, async () =>
      (await good).subarray(0, (await good).length - MiB - 4096),
    )
    refused('that is cut in the block table', 'TRUNCATED', undefined, async () =>
      (await good).subarray(0, BAT + 10),
    )
  })
})

it('is done with a damaged VHDX within bounds, whatever was damaged', async () => {
  const image = await good
  const items = (await value('size')) - METADATA
  await assertBounded(vhdxParser, image, [
    [METADATA, METADATA + 256],
    [METADATA + items, METADATA + items + 64],
    [BAT, BAT + 80],
  ])
  // Check sums would hide what is behind them.
  const unsealed = await sealed((copy) => inRegions((table) => table.writeUInt32LE(2, 8))(copy))
  await assertBounded(vhdxParser, unsealed, [[REGIONS[0], REGIONS[0] + 80]])
})
