import { crc32 } from 'node:zlib'
import { SECTOR } from '../../base/units.ts'

/** Kinds of partitions. Source: the Discoverable Partitions Specification; UEFI specification 5.3.3. */
export const PARTITION_TYPES = {
  /** Where GRUB's core stands for machines with a BIOS. */
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  /** Root of an x86-64 system, which systemd finds by this type. */
  rootX64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
} as const

export interface GptPartition {
  /** 1 to 128, as the kernel will count it. */
  number: number
  /** Bytes; whole sectors. */
  offset: number
  length: number
  type: string
  uuid: string
  /** At most 36 characters. */
  label: string
}

/** Bytes and where on the disk they belong. */
export interface Piece {
  offset: number
  bytes: Uint8Array
}

const ENTRIES = 128
const ENTRY_SIZE = 128
const TABLE_SECTORS = (ENTRIES * ENTRY_SIZE) / SECTOR

/** Partitions start at a multiple of this, as every partitioner does it: whole megabytes. */
export const ALIGNMENT = 1024 * 1024
/** Bytes that the table needs at the end of the disk. */
export const GPT_TAIL = (TABLE_SECTORS + 1) * SECTOR

/**
 * A GUID partition table for a disk of `size` bytes: the protective MBR, the table, and its backup
 * at the end of the disk. The caller sees to it that partitions lie apart, behind the first megabyte
 * and before the last `GPT_TAIL` bytes.
 * Source: UEFI specification, 5.2.3 and 5.3.
 */
export function makeGpt(size: number, uuid: string, partitions: readonly GptPartition[]): Piece[] {
  const lastSector = size / SECTOR - 1
  const entries = makeEntries(partitions)
  const backupEntries = lastSector - TABLE_SECTORS
  return [
    { offset: 0, bytes: makeProtectiveMbr(lastSector) },
    { offset: SECTOR, bytes: makeHeader(uuid, entries, 1, lastSector, 2, lastSector) },
    { offset: 2 * SECTOR, bytes: entries },
    { offset: backupEntries * SECTOR, bytes: entries },
    {
      offset: lastSector * SECTOR,
      bytes: makeHeader(uuid, entries, lastSector, 1, backupEntries, lastSector),
    },
  ]
}

/**
 * One partition over the whole disk, so that programs that know no GPT keep away.
 *
 * | offset | size | field                                                |
 * | ------ | ---- | ---------------------------------------------------- |
 * | 446    | 1    | 0: not active                                        |
 * | 447    | 3    | first sector as cylinder, head, sector: 0x000200     |
 * | 450    | 1    | type 0xee                                            |
 * | 451    | 3    | last sector in the same way, 0xffffff: beyond        |
 * | 454    | 4    | first sector: 1                                      |
 * | 458    | 4    | number of sectors, at most 0xffffffff                |
 * | 510    | 2    | 55 aa                                                |
 */
function makeProtectiveMbr(lastSector: number): Uint8Array {
  const mbr = Buffer.alloc(SECTOR)
  mbr.writeUIntBE(0x000200, 447, 3)
  mbr.writeUInt8(0xee, 450)
  mbr.writeUIntBE(0xffffff, 451, 3)
  mbr.writeUInt32LE(1, 454)
  mbr.writeUInt32LE(Math.min(lastSector, 0xffffffff), 458)
  mbr.writeUInt16BE(0x55aa, 510)
  return mbr
}

/**
 * | offset | size | field                                           |
 * | ------ | ---- | ----------------------------------------------- |
 * | 0      | 8    | `EFI PART`                                      |
 * | 8      | 4    | revision 0x00010000                             |
 * | 12     | 4    | size of the header: 92                          |
 * | 16     | 4    | CRC-32 of the header, with zeros here           |
 * | 24     | 8    | its own sector                                  |
 * | 32     | 8    | sector of the other copy                        |
 * | 40     | 8    | first sector for partitions                     |
 * | 48     | 8    | last sector for partitions                      |
 * | 56     | 16   | GUID of the disk                                |
 * | 72     | 8    | first sector of the entries                     |
 * | 80     | 4    | number of entries                               |
 * | 84     | 4    | size of an entry                                |
 * | 88     | 4    | CRC-32 of the entries                           |
 */
function makeHeader(
  uuid: string,
  entries: Uint8Array,
  own: number,
  other: number,
  entriesAt: number,
  lastSector: number,
): Uint8Array {
  const header = Buffer.alloc(SECTOR)
  header.write('EFI PART', 0, 'latin1')
  header.writeUInt32LE(0x00010000, 8)
  header.writeUInt32LE(92, 12)
  header.writeBigUInt64LE(BigInt(own), 24)
  header.writeBigUInt64LE(BigInt(other), 32)
  header.writeBigUInt64LE(BigInt(2 + TABLE_SECTORS), 40)
  header.writeBigUInt64LE(BigInt(lastSector - TABLE_SECTORS - 1), 48)
  writeGuid(header, 56, uuid)
  header.writeBigUInt64LE(BigInt(entriesAt), 72)
  header.writeUInt32LE(ENTRIES, 80)
  header.writeUInt32LE(ENTRY_SIZE, 84)
  header.writeUInt32LE(crc32(entries), 88)
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16)
  return header
}

/**
 * | offset | size | field                                  |
 * | ------ | ---- | -------------------------------------- |
 * | 0      | 16   | GUID of the type                       |
 * | 16     | 16   | GUID of the partition                  |
 * | 32     | 8    | first sector                           |
 * | 40     | 8    | last sector, inclusive                 |
 * | 48     | 8    | attributes                             |
 * | 56     | 72   | name in UTF-16                         |
 */
function makeEntries(partitions: readonly GptPartition[]): Uint8Array {
  const table = Buffer.alloc(ENTRIES * ENTRY_SIZE)
  for (const { number, offset, length, type, uuid, label } of partitions) {
    const entry = table.subarray((number - 1) * ENTRY_SIZE, number * ENTRY_SIZE)
    writeGuid(entry, 0, type)
    writeGuid(entry, 16, uuid)
    entry.writeBigUInt64LE(BigInt(offset / SECTOR), 32)
    entry.writeBigUInt64LE(BigInt((offset + length) / SECTOR - 1), 40)
    entry.write(label.slice(0, 36), 56, 'utf16le')
  }
  return table
}

/** The first three groups stand little-endian, the others as they are written. */
function writeGuid(into: Buffer, at: number, uuid: string): void {
  const plain = Buffer.from(uuid.replaceAll('-', ''), 'hex')
  into.writeUInt32LE(plain.readUInt32BE(0), at)
  into.writeUInt16LE(plain.readUInt16BE(4), at + 4)
  into.writeUInt16LE(plain.readUInt16BE(6), at + 6)
  plain.copy(into, at + 8, 8)
}
