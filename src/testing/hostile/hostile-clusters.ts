import { createHash } from 'node:crypto'
import { deflateRawSync, deflateSync, zstdCompressSync } from 'node:zlib'
import { KiB, MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import {
  be16,
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
const COPIED = 2n ** 63n
const OFFSET = 2n ** 56n - 512n
/** A place in the cluster of the payloads that none of them has reached. */
const FREE = 32 * KiB

const l1Of = (file: Buffer) => Number(file.readBigUInt64BE(40))
const l2Of = (file: Buffer) => Number(file.readBigUInt64BE(l1Of(file)) & OFFSET)
const inL2 = (edit: (at: number, file: Buffer) => Edit): Edit => {
  return (file) => edit(l2Of(file), file)(file)
}
/** A change of the one refcount block. */
const inRefcounts = (edit: (at: number, file: Buffer) => Edit): Edit => {
  return (file) => edit(Number(file.readBigUInt64BE(Number(file.readBigUInt64BE(48)))), file)(file)
}
const firstCluster = (file: Buffer) => Number(file.readBigUInt64BE(l2Of(file)) & OFFSET) / CLUSTER

/** The first cluster of the disk in another payload, in the same cluster of the file. */
function payload(bytes: Buffer, sectors = Math.floor((bytes.length - 1) / 512)): Edit {
  return (file) => {
    const entry = l2Of(file)
    const old = Number(file.readBigUInt64BE(entry) & (2n ** 54n - 1n))
    const at = Math.floor(old / CLUSTER) * CLUSTER + FREE
    const larger = Buffer.alloc(Math.max(file.length, at - FREE + CLUSTER))
    file.copy(larger)
    larger.set(bytes, at)
    larger.writeBigUInt64BE((2n ** 62n) | (BigInt(sectors) << 54n) | BigInt(at), entry)
    return larger
  }
}

const noise = (length: number) =>
  createHash('shake256', { outputLength: length }).update('noise').digest()
const deflated = (bytes: Uint8Array) => deflateRawSync(bytes, { windowBits: 12 })
/** A frame of zstd with its size left out: blocks of 128 KiB, each of one byte repeated. */
const zeroFrame = (blocks: number) =>
  Buffer.concat([
    Buffer.from('28b52ffd0038', 'hex'),
    ...Array.from({ length: blocks - 1 }, () => Buffer.from('02001000', 'hex')),
    Buffer.from('03001000', 'hex'),
  ])

/** Lies in the clusters, reference counts, bitmaps and variants of qcow2 files. */
export function hostileClusters(bases: BaseImages): HostileImage[] {
  const counts = familyOf('qcow2 refcounts', 'qcow2', bases.qcow2, [
    ['none at all', 'REFCOUNT', inRefcounts((at) => put(at, Buffer.alloc(64)))],
    [
      'none for a cluster of data',
      'REFCOUNT',
      inRefcounts((at, file) => be16(at + 2 * firstCluster(file), 0)),
    ],
    [
      'none for an L2 table',
      'REFCOUNT',
      inRefcounts((at, file) => be16(at + (2 * l2Of(file)) / CLUSTER, 0)),
    ],
    ['none for the header', 'REFCOUNT', inRefcounts((at) => be16(at, 0))],
    ['none for the refcount table', 'REFCOUNT', inRefcounts((at) => be16(at + 2, 0))],
    [
      'a table without its block',
      'REFCOUNT',
      (file) => be64(Number(file.readBigUInt64BE(48)), 0)(file),
    ],
  ])
  const second = familyOf('qcow2 version 2', 'qcow2', bases.qcow2Old, [
    [
      'a cluster that reads as zeros',
      ['ENTRY_INVALID', 'MISALIGNED'],
      inL2((at, file) => be64(at, file.readBigUInt64BE(at) | 1n)),
    ],
    ['a backing file', 'BACKING_FILE', be64(8, 1024), be32(16, 11), put(1024, '/etc/passwd')],
    [
      'the name of a data file',
      'DATA_FILE',
      put(72, Buffer.from('444154410000000b2f6574632f70617373776400000000', 'hex')),
    ],
    ['encryption', 'ENCRYPTED', be32(32, 1)],
    ['snapshots', 'SNAPSHOTS', be32(60, 3), be64(64, 8 * CLUSTER)],
    ['one cluster twice', 'OVERLAP', inL2((at, file) => be64(at + 8, file.readBigUInt64BE(at)))],
    ['cut in its last cluster', 'TRUNCATED', cut(-4096)],
  ])
  const extended = familyOf('qcow2 extended', 'qcow2', bases.qcow2Extended, [
    [
      'parts of a cluster that are both data and zeros',
      'ENTRY_INVALID',
      inL2((at) => be32(at + 8, 1)),
    ],
    ['parts of a cluster that is not there', 'ENTRY_INVALID', inL2((at) => be64(at, 0))],
    [
      'the bit for zeros of plain entries',
      ['ENTRY_INVALID', 'MISALIGNED'],
      inL2((at, file) => be64(at, file.readBigUInt64BE(at) | 1n)),
    ],
    [
      'a compressed cluster with parts',
      ['ENTRY_INVALID', 'OVERLAP', 'OUT_OF_RANGE'],
      inL2((at) => be64(at, (2n ** 62n) | BigInt(8 * CLUSTER))),
      inL2((at) => be64(at + 8, 2n ** 32n)),
    ],
    [
      'one cluster twice',
      'OVERLAP',
      inL2((at, file) => be64(at + 16, file.readBigUInt64BE(at))),
      inL2((at) => be32(at + 28, 0xffffffff)),
    ],
    ['a cluster past the end', 'TRUNCATED', inL2((at) => be64(at, COPIED | (2n ** 44n)))],
    [
      'clusters too small to have parts',
      ['HEADER_INVALID', 'OUT_OF_RANGE', 'TABLE_TOO_SMALL'],
      be32(20, 12),
    ],
  ])
  const short = deflated(Buffer.alloc(CLUSTER / 2, 7))
  const inflated = familyOf('qcow2 deflate', 'qcow2', bases.qcow2Compressed, [
    ['half a cluster', 'CONTENT_DAMAGED', payload(short)],
    ['two clusters', 'CONTENT_DAMAGED', payload(deflated(Buffer.alloc(2 * CLUSTER, 7)))],
    ['a cluster and a byte', 'CONTENT_DAMAGED', payload(deflated(Buffer.alloc(CLUSTER + 1, 7)))],
    ['16 MiB in one cluster', 'CONTENT_DAMAGED', payload(deflated(Buffer.alloc(16 * MiB)), 63)],
    ['the header of zlib', 'CONTENT_DAMAGED', payload(deflateSync(Buffer.alloc(CLUSTER, 7)))],
    ['nothing but zeros', 'CONTENT_DAMAGED', payload(Buffer.alloc(512))],
    ['noise', 'CONTENT_DAMAGED', payload(Buffer.concat([Buffer.from([0xff]), noise(4000)]))],
    [
      'a payload that is cut',
      'CONTENT_DAMAGED',
      payload(deflated(noise(CLUSTER)).subarray(0, 20_000)),
    ],
    [
      'a payload longer than is said',
      'CONTENT_DAMAGED',
      payload(deflated(noise(CLUSTER)).subarray(0, 30_000), 0),
    ],
    ['a payload longer than a cluster', ['OUT_OF_RANGE', 'TRUNCATED'], payload(short, 255)],
  ])
  const zstd = zstdCompressSync(Buffer.alloc(CLUSTER, 7))
  const frames = familyOf('qcow2 zstd', 'qcow2', bases.qcow2Zstd, [
    ['half a cluster', 'CONTENT_DAMAGED', payload(zstdCompressSync(Buffer.alloc(CLUSTER / 2, 7)))],
    ['two clusters', 'CONTENT_DAMAGED', payload(zstdCompressSync(Buffer.alloc(2 * CLUSTER, 7)))],
    [
      'two frames of half a cluster',
      'CONTENT_DAMAGED',
      payload(Buffer.concat([1, 2].map(() => zstdCompressSync(Buffer.alloc(CLUSTER / 2, 7))))),
    ],
    ['512 MiB in one cluster', 'CONTENT_DAMAGED', payload(zeroFrame(4096))],
    [
      'another size than the frame says',
      'CONTENT_DAMAGED',
      payload(zstd.subarray()),
      (file) => lieAboutSize(file),
    ],
    ['a window of 2 TiB', 'CONTENT_DAMAGED', payload(Buffer.from('28b52ffd00f8010000', 'hex'))],
    [
      'nothing but a frame to skip',
      'CONTENT_DAMAGED',
      payload(Buffer.from('502a4d180400000001020304', 'hex')),
    ],
    [
      'a payload that is cut',
      'CONTENT_DAMAGED',
      payload(zstdCompressSync(noise(CLUSTER)).subarray(0, 20_000)),
    ],
    ['deflate instead', 'CONTENT_DAMAGED', payload(deflated(Buffer.alloc(CLUSTER, 7)))],
    [
      'a dictionary that nobody has',
      'CONTENT_DAMAGED',
      payload(Buffer.from('28b52ffd03380123456703001000', 'hex')),
    ],
  ])
  return [...counts, ...second, ...extended, ...inflated, ...frames, ...hostileBitmaps(bases)]
}

/** Adds one to the size of its content that the frame of the first cluster tells. */
function lieAboutSize(file: Buffer): void {
  const at = file.lastIndexOf(Buffer.from('28b52ffd60', 'hex'))
  if (at < 0) throw new Error('no frame with a size of two bytes')
  file.writeUInt16LE(file.readUInt16LE(at + 5) + 1, at + 5)
}

/** Extension 23852875: 0 4 bitmaps, 4 4 reserved, 8 8 bytes and 16 8 place of their directory. */
function hostileBitmaps({ qcow2Bitmap }: BaseImages): HostileImage[] {
  const extension = qcow2Bitmap.indexOf(Buffer.from('23852875', 'hex')) + 8
  const directory = Number(qcow2Bitmap.readBigUInt64BE(extension + 16))
  return familyOf('qcow2 bitmaps', 'qcow2', qcow2Bitmap, [
    [
      '2^32 - 1 of them',
      ['TABLE_TOO_LARGE', 'OUT_OF_RANGE', 'HEADER_INVALID'],
      be32(extension, 0xffffffff),
    ],
    [
      'none of them',
      ['OUT_OF_RANGE', 'HEADER_INVALID', 'TABLE_TOO_SMALL', 'SIZE_MISMATCH'],
      be32(extension, 0),
    ],
    [
      'a directory of 2^40 bytes',
      ['TABLE_TOO_LARGE', 'OUT_OF_RANGE', 'TRUNCATED', 'HEADER_INVALID'],
      be64(extension + 8, 2 ** 40),
    ],
    ['a directory past the end', 'TRUNCATED', be64(extension + 16, 2 ** 41)],
    ['an unaligned directory', 'MISALIGNED', be64(extension + 16, directory + 512)],
    ['a directory on the L1 table', 'OVERLAP', (file) => be64(extension + 16, l1Of(file))(file)],
    ['a table past the end', 'TRUNCATED', be64(directory, 2 ** 42)],
    [
      'a table on the header',
      ['OVERLAP', 'ENTRY_INVALID', 'OUT_OF_RANGE', 'MISALIGNED'],
      be64(directory, 0),
    ],
    [
      'a table of 2^32 - 1 entries',
      ['TABLE_TOO_LARGE', 'TRUNCATED', 'OUT_OF_RANGE', 'ENTRY_INVALID'],
      be32(directory + 8, 0xffffffff),
    ],
    ['unknown flags', ['UNKNOWN_FEATURE', 'ENTRY_INVALID'], be32(directory + 12, 0x80)],
    ['an unknown type', ['UNKNOWN_FEATURE', 'ENTRY_INVALID'], byte(directory + 16, 9)],
    [
      'a name longer than the directory',
      ['OUT_OF_RANGE', 'ENTRY_INVALID', 'TRUNCATED', 'HEADER_INVALID'],
      be16(directory + 18, 60_000),
    ],
  ])
}
