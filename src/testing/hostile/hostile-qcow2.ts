import { deflateRawSync } from 'node:zlib'
import { GiB, KiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import {
  append,
  be32,
  be64,
  byte,
  cut,
  type Edit,
  familyOf,
  type HostileImage,
  put,
} from './hostile-image.ts'

const CLUSTER = 64 * KiB
const REFCOUNT_TABLE = CLUSTER
const REFCOUNT_BLOCK = 2 * CLUSTER
const L1 = 3 * CLUSTER
const L2 = 4 * CLUSTER
const DATA = 5 * CLUSTER
const COPIED = 2n ** 63n
const PACKED = 2n ** 62n

/** A header extension behind the header, which is 112 bytes long and followed by the feature names. */
const extension = (type: number, length: number, text = ''): Edit => {
  return (file) => {
    file.fill(0, 112, 1024)
    file.writeUInt32BE(type, 112)
    file.writeUInt32BE(length, 116)
    file.write(text, 120, 'latin1')
  }
}
const backing = (at: number, name: string): Edit[] => [
  be64(8, at),
  be32(16, name.length),
  put(Math.min(at, CLUSTER - 512), name),
]

/** An entry of an L2 table for a payload that touches so many sectors more than the first. */
function packed(at: number, sectors: number): bigint {
  return PACKED | (BigInt(sectors) << 54n) | BigInt(at)
}

/** Lies in qcow2 files. */
export function hostileQcow2({ qcow2, qcow2Compressed }: BaseImages): HostileImage[] {
  const end = qcow2.length
  const header = familyOf('qcow2', 'qcow2', qcow2, [
    ['a backing file', 'BACKING_FILE', ...backing(1024, '/etc/passwd')],
    ['a backing file as JSON', 'BACKING_FILE', ...backing(1024, 'json:{"driver":"nbd"}')],
    ['a backing file name of no bytes', 'BACKING_FILE', be64(8, 1024)],
    ['a backing file name nowhere', 'BACKING_FILE', be32(16, 20)],
    ['a backing file name past the end', 'BACKING_FILE', be64(8, 2n ** 40n), be32(16, 20)],
    ['an external data file', 'DATA_FILE', be64(72, 4)],
    ['the name of a data file', 'DATA_FILE', extension(0x44415441, 11, '/etc/passwd')],
    ['a data file by bit and name', 'DATA_FILE', be64(72, 4), extension(0x44415441, 6, 'json:{')],
    ['marked dirty', 'DIRTY', be64(72, 1)],
    ['marked corrupt', 'DIRTY', be64(72, 2)],
    ['unknown feature 5', 'UNKNOWN_FEATURE', be64(72, 2 ** 5)],
    ['unknown feature 31', 'UNKNOWN_FEATURE', be64(72, 2 ** 31)],
    ['unknown feature 63', 'UNKNOWN_FEATURE', be64(72, 2n ** 63n)],
    ['a compression type without its bit', ['HEADER_INVALID', 'UNKNOWN_FEATURE'], byte(104, 1)],
    ['the compression bit with zlib', ['HEADER_INVALID', 'UNKNOWN_FEATURE'], be64(72, 8)],
    ['an unknown compression', ['UNKNOWN_FEATURE', 'HEADER_INVALID'], be64(72, 8), byte(104, 7)],
    ['AES encryption', 'ENCRYPTED', be32(32, 1)],
    ['LUKS encryption', 'ENCRYPTED', be32(32, 2)],
    ['an unknown encryption', ['ENCRYPTED', 'UNKNOWN_FEATURE'], be32(32, 3)],
    ['a LUKS header without encryption', 'ENCRYPTED', extension(0x0537be77, 16)],
    ['version 1', ['FORMAT_UNSUPPORTED', 'FORMAT_VERSION', 'CLAIM_MISMATCH'], be32(4, 1)],
    ['version 4', ['FORMAT_VERSION', 'CLAIM_MISMATCH'], be32(4, 4)],
    ['version 0', ['FORMAT_VERSION', 'CLAIM_MISMATCH'], be32(4, 0)],
    ['clusters of 256 bytes', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(20, 8)],
    ['clusters of 4 MiB', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(20, 22)],
    ['clusters of 2^255 bytes', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(20, 255)],
    ['a disk that is no whole sectors', ['HEADER_INVALID', 'MISALIGNED'], be64(24, GiB - 7)],
    [
      'a disk of 2^63 bytes',
      ['SIZE_LIMIT', 'OUT_OF_RANGE', 'TABLE_TOO_SMALL'],
      be64(24, 2n ** 63n),
    ],
    ['a disk of 2^60 bytes', ['SIZE_LIMIT', 'TABLE_TOO_SMALL'], be64(24, 2n ** 60n)],
    ['too few L1 entries', 'TABLE_TOO_SMALL', be32(36, 1)],
    ['no L1 entries', 'TABLE_TOO_SMALL', be32(36, 0)],
    ['2^32 - 1 L1 entries', 'TABLE_TOO_LARGE', be32(36, 0xffffffff)],
    ['an unaligned L1 table', 'MISALIGNED', be64(40, L1 + 8)],
    ['an L1 table in the header', ['OVERLAP', 'HEADER_INVALID', 'OUT_OF_RANGE'], be64(40, 0)],
    ['an L1 table past the end', 'TRUNCATED', be64(40, 2 ** 40)],
    ['an L1 table at 2^63', ['TRUNCATED', 'OUT_OF_RANGE'], be64(40, 2n ** 63n)],
    ['an L1 table on the refcount table', 'OVERLAP', be64(40, REFCOUNT_TABLE)],
    ['an unaligned refcount table', 'MISALIGNED', be64(48, REFCOUNT_TABLE + 512)],
    ['a refcount table past the end', 'TRUNCATED', be64(48, 2 ** 41)],
    ['a refcount table on the L1 table', 'OVERLAP', be64(48, L1)],
    ['a refcount table of 2^32 - 1 clusters', 'TABLE_TOO_LARGE', be32(56, 0xffffffff)],
    ['snapshots', 'SNAPSHOTS', be32(60, 1), be64(64, CLUSTER * 8)],
    ['2^32 - 1 snapshots', ['SNAPSHOTS', 'TABLE_TOO_LARGE'], be32(60, 0xffffffff)],
    ['refcounts of 128 bits', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(96, 7)],
    ['a header of 72 bytes', 'HEADER_INVALID', be32(100, 72)],
    ['a header of 107 bytes', ['HEADER_INVALID', 'MISALIGNED'], be32(100, 107)],
    ['a header longer than a cluster', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(100, CLUSTER + 8)],
    [
      'an extension longer than a cluster',
      ['HEADER_INVALID', 'OUT_OF_RANGE'],
      extension(0x6803f857, 2 ** 31),
    ],
    [
      'extended L2 entries in a plain table',
      ['FORMAT_UNSUPPORTED', 'TABLE_TOO_SMALL', 'ENTRY_INVALID'],
      be64(72, 16),
    ],
    ['a header and nothing else', 'TRUNCATED', cut(512)],
    ['half a header', 'TRUNCATED', cut(60)],
  ])
  const tables = familyOf('qcow2 tables', 'qcow2', qcow2, [
    [
      'an L1 entry with reserved bits',
      'ENTRY_INVALID',
      be64(L1, COPIED | BigInt(L2) | (2n ** 57n)),
    ],
    [
      'an L1 entry with low reserved bits',
      ['ENTRY_INVALID', 'MISALIGNED'],
      be64(L1, COPIED | BigInt(L2 + 1)),
    ],
    ['an unaligned L2 table', ['MISALIGNED', 'ENTRY_INVALID'], be64(L1, COPIED | BigInt(L2 + 512))],
    ['an L2 table past the end', 'TRUNCATED', be64(L1, COPIED | (2n ** 45n))],
    ['an L2 table just past the end', 'TRUNCATED', be64(L1, COPIED | BigInt(end))],
    ['one L2 table twice', 'OVERLAP', be64(L1 + 8, COPIED | BigInt(L2))],
    ['an L2 table on the L1 table', 'OVERLAP', be64(L1, COPIED | BigInt(L1))],
    ['an L2 table on the refcount table', 'OVERLAP', be64(L1, COPIED | BigInt(REFCOUNT_TABLE))],
    ['an L2 table on a refcount block', 'OVERLAP', be64(L1, COPIED | BigInt(REFCOUNT_BLOCK))],
    [
      'an L2 entry with reserved bits',
      'ENTRY_INVALID',
      be64(L2, COPIED | BigInt(DATA) | (2n ** 56n)),
    ],
    [
      'an L2 entry with bit 1',
      ['ENTRY_INVALID', 'MISALIGNED'],
      be64(L2, COPIED | BigInt(DATA + 2)),
    ],
    [
      'an unaligned cluster',
      ['MISALIGNED', 'ENTRY_INVALID'],
      be64(L2, COPIED | BigInt(DATA + 512)),
    ],
    ['a cluster past the end', 'TRUNCATED', be64(L2, COPIED | (2n ** 50n))],
    ['a cluster just past the end', 'TRUNCATED', be64(L2, COPIED | BigInt(end))],
    ['one cluster twice', 'OVERLAP', be64(L2 + 8, COPIED | BigInt(DATA))],
    ['a cluster that is its own L2 table', 'OVERLAP', be64(L2, COPIED | BigInt(L2))],
    ['a cluster that is the L1 table', 'OVERLAP', be64(L2, COPIED | BigInt(L1))],
    ['a cluster that is the refcount table', 'OVERLAP', be64(L2, COPIED | BigInt(REFCOUNT_TABLE))],
    ['a zero cluster on metadata', 'OVERLAP', be64(L2, COPIED | BigInt(L1) | 1n)],
    [
      'an unaligned refcount block',
      ['MISALIGNED', 'ENTRY_INVALID'],
      be64(REFCOUNT_TABLE, REFCOUNT_BLOCK + 512),
    ],
    ['a refcount block past the end', 'TRUNCATED', be64(REFCOUNT_TABLE, 2 ** 44)],
    ['one refcount block twice', 'OVERLAP', be64(REFCOUNT_TABLE + 8, REFCOUNT_BLOCK)],
    ['a refcount block on the L1 table', 'OVERLAP', be64(REFCOUNT_TABLE, L1)],
    [
      'a refcount block with reserved bits',
      ['ENTRY_INVALID', 'MISALIGNED'],
      be64(REFCOUNT_TABLE, REFCOUNT_BLOCK + 1),
    ],
    ['cut in the last cluster', 'TRUNCATED', cut(-4096)],
    ['cut after the L2 table', 'TRUNCATED', cut(DATA)],
    ['cut after the L1 table', 'TRUNCATED', cut(L2)],
    ['cut before the L1 table', 'TRUNCATED', cut(L1)],
  ])
  const payload = deflateRawSync(Buffer.alloc(CLUSTER, 0x41), { windowBits: 12 })
  const twice: Edit = (file) => {
    for (let entry = 8; entry < 600; entry++) be64(L2 + entry * 8, packed(file.length, 0))(file)
    return Buffer.concat([file, payload, Buffer.alloc(512 - (payload.length % 512))])
  }
  const compressed = familyOf('qcow2 compressed', 'qcow2', qcow2Compressed, [
    ['a payload past the end', 'TRUNCATED', be64(L2, packed(2 ** 40, 0))],
    [
      'a payload that ends past the end',
      ['TRUNCATED', 'OUT_OF_RANGE'],
      be64(L2, packed(qcow2Compressed.length - 512, 200)),
    ],
    ['a payload in the header', ['OVERLAP', 'ENTRY_INVALID'], be64(L2, packed(0, 0))],
    ['a payload in the L1 table', 'OVERLAP', be64(L2, packed(L1 + 100, 0))],
    ['one payload for hundreds of clusters', ['OVERLAP', 'OUT_OF_RANGE', 'ENTRY_INVALID'], twice],
    [
      'a compressed entry marked copied',
      'ENTRY_INVALID',
      (file) => be64(L2, file.readBigUInt64BE(L2) | COPIED)(file),
    ],
    ['cut in the payload', 'TRUNCATED', cut(DATA + 16)],
  ])
  const others = familyOf('qcow2', 'qcow2', qcow2, [
    ['a fixed VHD footer behind it', 'AMBIGUOUS_FORMAT', append(vhdFooterLike())],
  ])
  return [...header, ...tables, ...compressed, ...others]
}

/** The last sector of a fixed VHD of 1 MiB, with a valid check sum. */
export function vhdFooterLike(): Buffer {
  const footer = Buffer.alloc(512)
  footer.write('conectix', 0, 'latin1')
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x10000, 12)
  footer.writeBigUInt64BE(2n ** 64n - 1n, 16)
  footer.write('win ', 28, 'latin1')
  footer.write('Wi2k', 36, 'latin1')
  footer.writeBigUInt64BE(BigInt(1024 * KiB), 40)
  footer.writeBigUInt64BE(BigInt(1024 * KiB), 48)
  footer.writeUInt16BE(30, 56)
  footer.writeUInt8(4, 58)
  footer.writeUInt8(17, 59)
  footer.writeUInt32BE(2, 60)
  const sum = footer.reduce((total, value) => total + value, 0)
  footer.writeUInt32BE(~sum >>> 0, 64)
  return footer
}
