import { KiB } from '../base/units.ts'
import { crc32c } from '../bytes/crc32c.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import type { Superblock } from './_ext-superblock.ts'

const ENCRYPTED = 0x800
const EXTENTS = 0x80000
const INLINE = 0x10000000
const TYPES: Readonly<Record<number, Inode['type']>> = { 4: 'directory', 8: 'file', 10: 'link' }
const SPECIAL: Readonly<Record<number, NonNullable<Inode['special']>>> = {
  1: 'fifo',
  2: 'character',
  6: 'block',
  12: 'socket',
}

/** A file, directory or link of an ext file system. */
export interface Inode {
  readonly number: number
  readonly type: 'file' | 'directory' | 'link' | 'other'
  /** What an `other` is. */
  readonly special: 'fifo' | 'character' | 'block' | 'socket' | undefined
  /** How many names it has. */
  readonly links: number
  /** Permission bits, with set-uid, set-gid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** How its content is found: by extents, by a block map, or in the inode itself. */
  readonly layout: 'extents' | 'map' | 'inline'
  /** The whole inode; the 60 bytes from 40 on are the map. */
  readonly fields: Fields
  /** What check sums of its blocks start from; undefined if there are none. */
  readonly seed: number | undefined
}

/**
 * Reads an inode by its number.
 *
 * | offset | size | field             | offset | size | field                                  |
 * | ------ | ---- | ----------------- | ------ | ---- | -------------------------------------- |
 * | 0      | 2    | type and mode     | 100    | 4    | generation                             |
 * | 2      | 2    | uid, lower half   | 108    | 4    | size, upper half                       |
 * | 4      | 4    | size, lower half  | 120    | 2, 2 | uid and gid, upper halves              |
 * | 16     | 4    | mtime             | 124    | 2    | check sum, lower half                  |
 * | 24     | 2    | gid, lower half   | 128    | 2    | bytes used behind byte 128             |
 * | 26     | 2    | names             | 130    | 2    | check sum, upper half                  |
 * | 32     | 4    | flags             | 136    | 4    | mtime: bits 0 and 1 are bits 32 and 33 |
 * | 40     | 60   | block map         |        |      |                                        |
 *
 * Fails with IMAGE_UNSAFE, IMAGE_UNREADABLE (check sum), FILE_SYSTEM_ENCRYPTED.
 * Source: Linux, Documentation/filesystems/ext4/inodes.rst.
 */
export async function readInode(source: Source, block: Superblock, number: number): Promise<Inode> {
  const index = (number - 1) % block.inodesPerGroup
  const group = (number - 1 - index) / block.inodesPerGroup
  const start = (await inodeTable(source, block, group)) * block.blockSize + index * block.inodeSize
  const bytes = await source.read(start, block.inodeSize)
  const fields = new Fields(bytes, { name: `${source.name}: inode ${number}`, start })
  const extra = block.inodeSize > 128 ? fields.u16(128) : 0
  if (extra > block.inodeSize - 128) throw fields.fault('IMAGE_UNSAFE', 128, `${extra} more bytes`)
  const seed = block.seed === undefined ? undefined : seedOf(block.seed, number, fields)
  if (seed !== undefined) checkSum(fields, seed, extra)
  if (fields.u16(0) === 0) throw fields.fault('IMAGE_UNSAFE', 0, 'it is in use, but it is empty')
  const flags = fields.u32(32)
  if (flags & ENCRYPTED) throw fields.fault('FILE_SYSTEM_ENCRYPTED', 32, 'its content is encrypted')
  return {
    number,
    type: TYPES[fields.u16(0) >> 12] ?? 'other',
    special: SPECIAL[fields.u16(0) >> 12],
    links: fields.u16(26),
    mode: fields.u16(0) & 0o7777,
    uid: fields.u16(2) + fields.u16(120) * 2 ** 16,
    gid: fields.u16(24) + fields.u16(122) * 2 ** 16,
    size: fields.u32(4) + fields.u32(108) * 2 ** 32,
    mtime: (fields.u32(16) | 0) + (extra >= 12 ? (fields.u32(136) & 3) * 2 ** 32 : 0),
    layout: flags & INLINE ? 'inline' : flags & EXTENTS ? 'extents' : 'map',
    fields,
    seed,
  }
}

/** Numbers of a device, which stand in the map: small ones in one form, all others in the second. */
export function deviceOf({ fields }: Inode): { major: number; minor: number } {
  const small = fields.u32(40)
  if (small !== 0) return { major: (small >>> 8) & 0xff, minor: small & 0xff }
  const large = fields.u32(44)
  return { major: (large >>> 8) & 0xfff, minor: (large & 0xff) | ((large >>> 12) & 0xfff00) }
}

/** First block of a group's inodes. */
async function inodeTable(source: Source, block: Superblock, group: number): Promise<number> {
  const start = descriptorStart(block, group)
  const bytes = await source.read(start, block.descriptorSize)
  const name = `${source.name}: descriptor of group ${group}`
  const fields = new Fields(bytes, { name, start })
  if (block.seed !== undefined) {
    const plain = Buffer.from(bytes)
    plain.writeUInt16LE(0, 30)
    const sum = crc32c(plain, crc32c(littleEndian(group), block.seed)) & 0xffff
    if (sum !== fields.u16(30)) throw fields.fault('IMAGE_UNREADABLE', 30, 'wrong check sum')
  }
  const table = fields.u32(8) + (block.descriptorSize >= 64 ? fields.u32(40) * 2 ** 32 : 0)
  const length = Math.ceil((block.inodesPerGroup * block.inodeSize) / block.blockSize)
  if (table <= block.firstBlock || table + length > block.blocks)
    throw fields.fault('IMAGE_UNSAFE', 8, `its inodes cannot stand at block ${table}`)
  return table
}

/**
 * Descriptors follow the superblock, which is in block 0 or, if that is too small, in block 1. From
 * the first meta group on they stand in their groups, behind the copy of the superblock if one is there.
 */
function descriptorStart(block: Superblock, group: number): number {
  const { blockSize, firstBlock, blocksPerGroup } = block
  const perBlock = blockSize / block.descriptorSize
  const index = Math.floor(group / perBlock)
  const inside = (group % perBlock) * block.descriptorSize
  const superblock = blockSize === KiB ? 1 : 0
  if (index < block.firstMetaGroup) return (superblock + 1 + index) * blockSize + inside
  const first = index * perBlock
  const start = Math.max(firstBlock + first * blocksPerGroup, superblock)
  return (start + (block.hasCopy(first) ? 1 : 0)) * blockSize + inside
}

function seedOf(seed: number, number: number, fields: Fields): number {
  return crc32c(fields.slice(100, 4), crc32c(littleEndian(number), seed))
}

function checkSum(fields: Fields, seed: number, extra: number): void {
  const plain = Buffer.from(fields.bytes)
  const wide = extra >= 4
  plain.writeUInt16LE(0, 124)
  if (wide) plain.writeUInt16LE(0, 130)
  const sum = crc32c(plain, seed)
  const found = fields.u16(124) + (wide ? fields.u16(130) * 2 ** 16 : 0)
  if (found !== (wide ? sum : sum & 0xffff))
    throw fields.fault('IMAGE_UNREADABLE', 124, 'wrong check sum')
}

function littleEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
