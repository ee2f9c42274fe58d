import { crc32c } from '../../bytes/crc32c.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import {
  cut,
  type Edit,
  familyOf,
  type HostileImage,
  le16,
  le32,
  le64,
  put,
} from './hostile-image.ts'

const HEADERS = [64 * KiB, 128 * KiB]
const REGIONS = [192 * KiB, 256 * KiB]
const BAT = 2 * MiB
const METADATA = 3 * MiB
/** Entries of the region table: GUID 16, offset 8, length 4, required 4. */
const REGION_BAT = 16
const REGION_METADATA = 48

/** Makes all check sums right again, so that only the lie is wrong. */
const seal: Edit = (file) => {
  for (const at of HEADERS) sum(file, at, 4 * KiB)
  for (const at of REGIONS) sum(file, at, 64 * KiB)
}

function sum(file: Buffer, at: number, length: number): void {
  if (file.length < at + length) return
  file.writeUInt32LE(0, at + 4)
  file.writeUInt32LE(~crc32c(file.subarray(at, at + length), 0xffffffff) >>> 0, at + 4)
}

const inHeaders = (edit: (at: number) => Edit): Edit => {
  return (file) => HEADERS.forEach((at) => void edit(at)(file))
}
const inRegions = (edit: (at: number) => Edit): Edit => {
  return (file) => REGIONS.forEach((at) => void edit(at)(file))
}

const ITEMS = {
  parameters: 'caa16737fa364d43b3b633f0aa44e76b',
  size: '2fa54224cd1b4876b2115dbed83bf4b8',
  sector: '8141bf1da96f4709ba47f233a8faab5f',
  physical: 'cda348c7445d44719cc9e9885251c556',
  parent: 'a8d35f2db30b454dabf7d3d84834ab0c',
} as const

function guidOf(hex: string): Buffer {
  const guid = Buffer.from(hex, 'hex')
  guid.subarray(0, 4).reverse()
  guid.subarray(4, 6).reverse()
  guid.subarray(6, 8).reverse()
  return guid
}

/** Where the entry of an item stands in the metadata table. */
function entryOf(file: Buffer, item: keyof typeof ITEMS): number {
  const at = file.indexOf(guidOf(ITEMS[item]), METADATA)
  if (at < 0) throw new Error(`no item ${item}`)
  return at
}
/** A change of an item's value. */
const inItem = (item: keyof typeof ITEMS, edit: (at: number) => Edit): Edit => {
  return (file) => edit(METADATA + file.readUInt32LE(entryOf(file, item) + 16))(file)
}
/** A change of an item's entry: GUID 16, offset 4, length 4, flags 4. */
const inEntry = (item: keyof typeof ITEMS, edit: (at: number) => Edit): Edit => {
  return (file) => edit(entryOf(file, item))(file)
}
/** A region table entry behind the two. */
const moreRegion = (guid: Buffer, required: number): Edit =>
  inRegions((at) => (file) => {
    file.writeUInt32LE(3, at + 8)
    file.set(guid, at + 80)
    file.writeBigUInt64LE(BigInt(16 * MiB), at + 96)
    file.writeUInt32LE(MiB, at + 104)
    file.writeUInt32LE(required, at + 108)
  })
/** An item entry behind the last one. */
const moreItem = (guid: Buffer, flags: number): Edit => {
  return (file) => {
    const count = file.readUInt16LE(METADATA + 10)
    const at = METADATA + 32 + count * 32
    file.writeUInt16LE(count + 1, METADATA + 10)
    file.set(guid, at)
    file.writeUInt32LE(128 * KiB, at + 16)
    file.writeUInt32LE(16, at + 20)
    file.writeUInt32LE(flags, at + 24)
  }
}

/** Lies in VHDX files. */
export function hostileVhdx({ vhdx }: BaseImages): HostileImage[] {
  const sealed = familyOf(
    'vhdx',
    'vhdx',
    vhdx,
    [
      ['a log to be replayed', 'DIRTY', inHeaders((at) => put(at + 48, Buffer.alloc(16, 5)))],
      ['another version', 'FORMAT_VERSION', inHeaders((at) => le16(at + 66, 2))],
      [
        'another version of the log',
        ['FORMAT_VERSION', 'HEADER_INVALID'],
        inHeaders((at) => le16(at + 64, 7)),
      ],
      ['a log past the end', 'TRUNCATED', inHeaders((at) => le64(at + 72, 2 ** 42))],
      ['an unaligned log', ['MISALIGNED'], inHeaders((at) => le64(at + 72, MiB + 512))],
      ['a log on the table of blocks', 'OVERLAP', inHeaders((at) => le64(at + 72, BAT))],
      [
        'a log in the header',
        ['OVERLAP', 'MISALIGNED', 'OUT_OF_RANGE'],
        inHeaders((at) => le64(at + 72, 0)),
      ],
      [
        'an unknown region that is required',
        'UNKNOWN_FEATURE',
        moreRegion(Buffer.alloc(16, 0xab), 1),
      ],
      [
        'a region twice',
        ['OVERLAP', 'HEADER_INVALID', 'COPIES_DIFFER'],
        moreRegion(guidOf('2dc27766f62342009d64115e9bfd4a08'), 1),
      ],
      [
        '2^32 - 1 regions',
        ['TABLE_TOO_LARGE', 'OUT_OF_RANGE'],
        inRegions((at) => le32(at + 8, 0xffffffff)),
      ],
      [
        'no regions',
        ['HEADER_INVALID', 'TABLE_TOO_SMALL', 'TRUNCATED'],
        inRegions((at) => le32(at + 8, 0)),
      ],
      [
        'a region past the end',
        'TRUNCATED',
        inRegions((at) => le64(at + REGION_BAT + 16, 2 ** 43)),
      ],
      [
        'an unaligned region',
        'MISALIGNED',
        inRegions((at) => le64(at + REGION_BAT + 16, BAT + 4096)),
      ],
      [
        'both regions in one place',
        'OVERLAP',
        inRegions((at) => le64(at + REGION_METADATA + 16, BAT)),
      ],
      [
        'a region in the header',
        ['OVERLAP', 'OUT_OF_RANGE', 'MISALIGNED'],
        inRegions((at) => le64(at + REGION_BAT + 16, 0)),
      ],
      [
        'a table of blocks of no bytes',
        ['TABLE_TOO_SMALL', 'OUT_OF_RANGE', 'MISALIGNED'],
        inRegions((at) => le32(at + REGION_BAT + 24, 0)),
      ],
      ['region tables that differ', 'COPIES_DIFFER', le64(REGIONS[1]! + REGION_BAT + 16, 8 * MiB)],
      ['no metadata', ['HEADER_INVALID'], put(METADATA, 'nothing!')],
      ['65535 items', ['TABLE_TOO_LARGE', 'OUT_OF_RANGE'], le16(METADATA + 10, 65535)],
      ['an unknown item that is required', 'UNKNOWN_FEATURE', moreItem(Buffer.alloc(16, 0xcd), 4)],
      ['a parent locator', 'PARENT', moreItem(guidOf(ITEMS.parent), 4)],
      ['a flag that says it has a parent', 'PARENT', inItem('parameters', (at) => le32(at + 4, 2))],
      [
        'an item outside the region',
        ['OUT_OF_RANGE', 'TRUNCATED'],
        inEntry('size', (at) => le32(at + 16, 0x7fffffff)),
      ],
      [
        'an item on the table',
        ['OVERLAP', 'OUT_OF_RANGE', 'MISALIGNED'],
        inEntry('size', (at) => le32(at + 16, 32)),
      ],
      [
        'an item of 2^32 - 1 bytes',
        ['OUT_OF_RANGE', 'HEADER_INVALID', 'TRUNCATED'],
        inEntry('size', (at) => le32(at + 20, 0xffffffff)),
      ],
      [
        'no virtual size',
        ['HEADER_INVALID', 'UNKNOWN_FEATURE'],
        inEntry('size', (at) => put(at, Buffer.alloc(16, 1))),
      ],
      [
        'blocks of no bytes',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('parameters', (at) => le32(at, 0)),
      ],
      [
        'blocks of 512 KiB',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('parameters', (at) => le32(at, 512 * KiB)),
      ],
      [
        'blocks of 3 MiB',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('parameters', (at) => le32(at, 3 * MiB)),
      ],
      [
        'blocks of 512 MiB',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('parameters', (at) => le32(at, 512 * MiB)),
      ],
      [
        'sectors of 100 bytes',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('sector', (at) => le32(at, 100)),
      ],
      [
        'physical sectors of 7 bytes',
        ['HEADER_INVALID', 'OUT_OF_RANGE'],
        inItem('physical', (at) => le32(at, 7)),
      ],
      [
        'a disk of 2^63 bytes',
        ['SIZE_LIMIT', 'OUT_OF_RANGE', 'TABLE_TOO_SMALL'],
        inItem('size', (at) => le64(at, 2n ** 63n)),
      ],
      [
        'a disk of 100 TiB',
        ['SIZE_LIMIT', 'OUT_OF_RANGE', 'TABLE_TOO_SMALL'],
        inItem('size', (at) => le64(at, 100 * 1024 ** 4)),
      ],
      [
        'a disk that is no whole sectors',
        ['HEADER_INVALID', 'MISALIGNED'],
        inItem('size', (at) => le64(at, 1000001)),
      ],
      [
        'a disk that its table cannot hold',
        ['TABLE_TOO_SMALL'],
        inItem('size', (at) => le64(at, 4 * 1024 ** 4)),
      ],
      ['a block past the end', 'TRUNCATED', le64(BAT, (2n ** 40n) | 6n)],
      ['a block just past the end', 'TRUNCATED', le64(BAT, BigInt(10 * MiB) | 6n)],
      ['one block twice', 'OVERLAP', le64(BAT + 8, BigInt(8 * MiB) | 6n)],
      ['a block on the table', 'OVERLAP', le64(BAT, BigInt(BAT) | 6n)],
      ['a block in the header', ['OVERLAP', 'OUT_OF_RANGE', 'ENTRY_INVALID'], le64(BAT, 6n)],
      ['a block of an unknown state', 'ENTRY_INVALID', le64(BAT, BigInt(8 * MiB) | 4n)],
      [
        'a block that is only partly there',
        ['ENTRY_INVALID', 'PARENT'],
        le64(BAT, BigInt(8 * MiB) | 7n),
      ],
      ['a block with reserved bits', 'ENTRY_INVALID', le64(BAT, BigInt(8 * MiB) | 6n | 8n)],
      [
        'headers that differ, with one sequence number',
        'COPIES_DIFFER',
        inHeaders((at) => le64(at + 8, 7)),
        le64(HEADERS[0]! + 16, 1),
      ],
      ['a log of no bytes', ['MISALIGNED', 'OUT_OF_RANGE'], inHeaders((at) => le32(at + 68, 0))],
      [
        'a log of no bytes that is to be replayed',
        'DIRTY',
        inHeaders((at) => le32(at + 68, 0)),
        inHeaders((at) => put(at + 48, Buffer.alloc(16, 5))),
      ],
      ['a log of 700 bytes', 'MISALIGNED', inHeaders((at) => le32(at + 68, 700))],
      ['a log of 4 GiB', ['TRUNCATED', 'OVERLAP'], inHeaders((at) => le32(at + 68, 0xfff00000))],
      [
        'a region with unknown flags',
        ['UNKNOWN_FEATURE', 'ENTRY_INVALID', 'HEADER_INVALID'],
        inRegions((at) => le32(at + REGION_BAT + 28, 0xff)),
      ],
      ['an item of the user’s', 'ENTRY_INVALID', inEntry('size', (at) => le32(at + 24, 5))],
      ['an item with unknown flags', 'ENTRY_INVALID', inEntry('size', (at) => le32(at + 24, 0xf0))],
      ['a size twice', ['ENTRY_INVALID', 'OVERLAP'], moreItem(guidOf(ITEMS.size), 6)],
      [
        'unknown parameters',
        ['UNKNOWN_FEATURE', 'HEADER_INVALID'],
        inItem('parameters', (at) => le32(at + 4, 4)),
      ],
      [
        'a size of 2^53 and more',
        ['SIZE_LIMIT', 'OUT_OF_RANGE'],
        inItem('size', (at) => le64(at, 2n ** 60n)),
      ],
      ['a block where the log is', 'OVERLAP', le64(BAT, BigInt(MiB) | 6n)],
      ['a block where the metadata are', 'OVERLAP', le64(BAT, BigInt(METADATA) | 6n)],
      [
        'a block at the end of all numbers',
        ['TRUNCATED', 'OUT_OF_RANGE'],
        le64(BAT, 0xfffffffffff00006n),
      ],
      ['cut in the last block', 'TRUNCATED', cut(-4096)],
      ['cut in the metadata', 'TRUNCATED', cut(METADATA + 1000)],
      ['cut in the table of blocks', 'TRUNCATED', cut(BAT + 10)],
      ['cut in the header', 'TRUNCATED', cut(100 * KiB)],
    ],
    seal,
  )
  const sums = familyOf('vhdx', 'vhdx', vhdx, [
    [
      'both headers with wrong check sums',
      ['CHECKSUM', 'HEADER_INVALID'],
      inHeaders((at) => le32(at + 4, 1)),
    ],
    [
      'both region tables with wrong check sums',
      ['CHECKSUM', 'HEADER_INVALID'],
      inRegions((at) => le32(at + 4, 1)),
    ],
  ])
  return [...sealed, ...sums]
}
