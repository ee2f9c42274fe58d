import { crc32 } from 'node:zlib'
import { MiB } from '../../base/units.ts'
import { type Edit, familyOf, type HostileImage, le32, le64 } from './hostile-image.ts'

const SECTORS = (4 * MiB) / 512
const ENTRIES = 2 * 512

/** A good GPT on a disk of 4 MiB: two partitions, both tables. */
export function gptDisk(): Buffer {
  const disk = Buffer.alloc(4 * MiB)
  disk.writeUInt8(0xee, 450)
  disk.writeUInt32LE(1, 454)
  disk.writeUInt32LE(SECTORS - 1, 458)
  disk.writeUInt16LE(0xaa55, 510)
  for (const [at, first, last, type] of [
    [ENTRIES, 2048, 4095, 0x11],
    [ENTRIES + 128, 4096, 8158, 0x22],
  ] as const) {
    disk.fill(type, at, at + 32)
    disk.writeBigUInt64LE(BigInt(first), at + 32)
    disk.writeBigUInt64LE(BigInt(last), at + 40)
  }
  disk.copy(disk, (SECTORS - 33) * 512, ENTRIES, ENTRIES + 128 * 128)
  for (const [own, other, entries] of [
    [1, SECTORS - 1, 2],
    [SECTORS - 1, 1, SECTORS - 33],
  ] as const) {
    const at = own * 512
    disk.write('EFI PART', at, 'latin1')
    disk.writeUInt32LE(0x10000, at + 8)
    disk.writeUInt32LE(92, at + 12)
    disk.writeBigUInt64LE(BigInt(own), at + 24)
    disk.writeBigUInt64LE(BigInt(other), at + 32)
    disk.writeBigUInt64LE(34n, at + 40)
    disk.writeBigUInt64LE(BigInt(SECTORS - 34), at + 48)
    disk.fill(0x33, at + 56, at + 72)
    disk.writeBigUInt64LE(BigInt(entries), at + 72)
    disk.writeUInt32LE(128, at + 80)
    disk.writeUInt32LE(128, at + 84)
  }
  seal(disk)
  return disk
}

/** Makes the check sums right again. */
const seal: Edit = (disk) => {
  for (const at of [512, (SECTORS - 1) * 512]) {
    if (at + 512 > disk.length) continue
    const entries = Number(disk.readBigUInt64LE(at + 72)) * 512
    const count = disk.readUInt32LE(at + 80)
    if (entries + count * 128 <= disk.length && count <= 1024)
      disk.writeUInt32LE(crc32(disk.subarray(entries, entries + count * 128)), at + 88)
    disk.writeUInt32LE(0, at + 16)
    disk.writeUInt32LE(crc32(disk.subarray(at, at + 92)), at + 16)
  }
}

/** A change of the same field of both headers, or of an entry in both tables. */
const inHeaders = (edit: (at: number) => Edit): Edit => {
  return (disk) => [512, (SECTORS - 1) * 512].forEach((at) => void edit(at)(disk))
}
const inEntries = (index: number, edit: (at: number) => Edit): Edit => {
  return (disk) =>
    [ENTRIES, (SECTORS - 33) * 512].forEach((at) => void edit(at + index * 128)(disk))
}

function mbrDisk(
  ...entries: readonly (readonly [type: number, start: number, count: number])[]
): Buffer {
  const disk = Buffer.alloc(4 * MiB)
  for (const [index, [type, start, count]] of entries.entries()) {
    disk.writeUInt8(type, 446 + index * 16 + 4)
    disk.writeUInt32LE(start, 446 + index * 16 + 8)
    disk.writeUInt32LE(count, 446 + index * 16 + 12)
  }
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}

const BROKEN = ['PARTITION_TABLE', 'TRUNCATED', 'OVERLAP', 'CHECKSUM', 'OUT_OF_RANGE'] as const

/** Disks whose partition tables lie. */
export function hostilePartitions(): HostileImage[] {
  const gpt = familyOf(
    'gpt',
    'raw',
    gptDisk(),
    [
      [
        'a partition past the end of the disk',
        BROKEN,
        inEntries(1, (at) => le64(at + 40, 100_000)),
      ],
      ['a partition at 2^63', BROKEN, inEntries(1, (at) => le64(at + 40, 2n ** 63n))],
      ['a partition that ends before it begins', BROKEN, inEntries(1, (at) => le64(at + 40, 100))],
      ['partitions that overlap', BROKEN, inEntries(1, (at) => le64(at + 32, 3000))],
      ['2^32 - 1 entries', BROKEN, inHeaders((at) => le32(at + 80, 0xffffffff))],
      ['entries of 1 byte', BROKEN, inHeaders((at) => le32(at + 84, 1))],
      ['cut in its last partition', BROKEN, (disk) => disk.subarray(0, 3 * MiB)],
    ],
    seal,
  )
  const damaged = familyOf('gpt', 'raw', gptDisk(), [
    ['both headers with wrong check sums', BROKEN, inHeaders((at) => le32(at + 16, 1))],
  ])
  const extended = (start: number) => mbrDisk([0x83, 64, 64], [0x05, start, 1000])
  const loop = extended(2048)
  loop.writeUInt8(0x83, 2048 * 512 + 446 + 4)
  loop.writeUInt32LE(8, 2048 * 512 + 446 + 8)
  loop.writeUInt32LE(8, 2048 * 512 + 446 + 12)
  loop.writeUInt8(0x05, 2048 * 512 + 462 + 4)
  loop.writeUInt32LE(0, 2048 * 512 + 462 + 8)
  loop.writeUInt32LE(8, 2048 * 512 + 462 + 12)
  loop.writeUInt16LE(0xaa55, 2048 * 512 + 510)
  const mbr = (
    [
      ['a partition past the end of the disk', mbrDisk([0x83, 64, 1_000_000])],
      ['a partition that begins past the end', mbrDisk([0x83, 4_000_000_000, 8])],
      ['partitions that overlap', mbrDisk([0x83, 64, 1000], [0x83, 500, 1000])],
      ['an extended partition past the end', extended(1_000_000)],
      ['logical partitions in a circle', loop],
    ] as const
  ).map(([what, disk]) => ({ name: `mbr: ${what}`, claim: 'raw', codes: BROKEN, make: () => disk }))
  return [...gpt, ...damaged, ...mbr, ...hostileHybrids()]
}

const entry = (index: number, type: number, start: number, count: number): Edit => {
  return (disk) => {
    disk.writeUInt8(type, 446 + index * 16 + 4)
    disk.writeUInt32LE(start, 446 + index * 16 + 8)
    disk.writeUInt32LE(count, 446 + index * 16 + 12)
  }
}

/** Tables of both kinds on one disk, and tables for sectors of 4 KiB. */
function hostileHybrids(): HostileImage[] {
  const rows = familyOf(
    'gpt',
    'raw',
    gptDisk(),
    [
      ['a header that is not where it says', BROKEN, (disk) => le64(512 + 24, 5)(disk)],
      ['a backup past the end', BROKEN, (disk) => le64(512 + 32, 1_000_000)(disk)],
      ['a backup in its own place', BROKEN, (disk) => le64(512 + 32, 1)(disk)],
      ['entries past the end', BROKEN, inHeaders((at) => le64(at + 72, 1_000_000))],
      ['entries in its header', BROKEN, inHeaders((at) => le64(at + 72, 1))],
      ['a header of 4 GiB', BROKEN, inHeaders((at) => le32(at + 12, 0xffffffff))],
      ['a header of 8 bytes', BROKEN, inHeaders((at) => le32(at + 12, 8))],
      ['another version', [...BROKEN, 'FORMAT_VERSION'], inHeaders((at) => le32(at + 8, 0x20000))],
      ['a partition on its own table', BROKEN, inEntries(0, (at) => le64(at + 32, 0))],
      ['space behind the end of the disk', BROKEN, inHeaders((at) => le64(at + 48, 2n ** 50n))],
    ],
    seal,
  )
  const hybrids = familyOf('hybrid', 'raw', gptDisk(), [
    ['a partition of the MBR that the GPT does not have', BROKEN, entry(1, 0x83, 5000, 100)],
    ['a partition of the MBR past the end', BROKEN, entry(1, 0x83, 2048, 4_000_000)],
    ['a partition of the MBR on the GPT', BROKEN, entry(1, 0x83, 1, 100)],
    [
      'two partitions of the MBR in one place',
      BROKEN,
      entry(1, 0x83, 2048, 2048),
      entry(2, 0x0c, 2048, 100),
    ],
  ])
  return [...rows, ...hybrids]
}
