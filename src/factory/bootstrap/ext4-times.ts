/**
 * Times in an ext4 file system that mke2fs took over from the directory it copied: when a file was
 * last read or changed on the building host is nobody's business and differs with every build.
 */
import { open } from 'node:fs/promises'
import { Failure } from '../../base/failure.ts'
import { crc32c } from '../../bytes/crc32c.ts'
import { Fields } from '../../bytes/fields.ts'

/**
 * | offset | size | field of the superblock                                   |
 * | ------ | ---- | --------------------------------------------------------- |
 * | 0x00   | 4    | number of inodes                                          |
 * | 0x14   | 4    | first block: 0 unless blocks have 1 KiB                   |
 * | 0x18   | 4    | block size as a power of two above 1 KiB                  |
 * | 0x28   | 4    | inodes in a group                                         |
 * | 0x38   | 2    | 53 ef                                                     |
 * | 0x58   | 2    | size of an inode                                          |
 * | 0x60   | 4    | incompatible features; 0x80: descriptors of 64 bits       |
 * | 0x64   | 4    | read-only features; 0x400: check sums of metadata         |
 * | 0x68   | 16   | UUID                                                      |
 * | 0xfe   | 2    | size of a group descriptor                                |
 * Source: Documentation/filesystems/ext4 of the kernel, also for the tables below.
 */
const SUPERBLOCK = 1024
const MAGIC = 0xef53
const FEATURE_64BIT = 0x80
const FEATURE_CHECKSUMS = 0x400

/**
 * | offset | size | field of a group descriptor           |
 * | ------ | ---- | ------------------------------------- |
 * | 0x08   | 4    | first block of the inodes, low half   |
 * | 0x1c   | 2    | inodes at the end that were never used |
 * | 0x28   | 4    | first block of the inodes, high half  |
 */
const DESCRIPTOR = { tableLow: 0x08, unused: 0x1c, tableHigh: 0x28 }

/**
 * | offset | size | field of an inode                            |
 * | ------ | ---- | -------------------------------------------- |
 * | 0x00   | 2    | type and mode; 0: never used                 |
 * | 0x08   | 12   | seconds of last access, change, modification |
 * | 0x64   | 4    | generation                                   |
 * | 0x7c   | 2    | check sum, low half                          |
 * | 0x82   | 2    | check sum, high half                         |
 * | 0x84   | 12   | finer parts of change, modification, access  |
 */
const INODE = {
  mode: 0x00,
  accessed: 0x08,
  changed: 0x0c,
  modified: 0x10,
  generation: 0x64,
  sumLow: 0x7c,
  sumHigh: 0x82,
  fineChanged: 0x84,
  fineModified: 0x88,
  fineAccessed: 0x8c,
}

/**
 * Sets the times of last access and last change of every inode to that of its last modification.
 * The file system begins at byte `start` of the file; it is one that mke2fs just made with check
 * sums. Fails with BUILD_FAILED when it is not.
 */
export async function settleExt4Times(path: string, start: number): Promise<void> {
  await using file = await open(path, 'r+')
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await file.read(buffer, 0, length, start + offset)
    if (bytesRead === length) return buffer
    throw new Failure('BUILD_FAILED', `${path} ends inside its root file system`)
  }
  const layout = readLayout(await read(SUPERBLOCK, 1024), path)
  const { blockSize, groups, descriptorSize, inodeSize, inodesPerGroup } = layout
  const descriptors = await read(layout.firstBlock * blockSize + blockSize, groups * descriptorSize)
  for (let group = 0; group < groups; group++) {
    const descriptor = descriptors.subarray(group * descriptorSize, (group + 1) * descriptorSize)
    const table =
      descriptor.readUInt32LE(DESCRIPTOR.tableLow) +
      descriptor.readUInt32LE(DESCRIPTOR.tableHigh) * 2 ** 32
    const used = inodesPerGroup - descriptor.readUInt16LE(DESCRIPTOR.unused)
    if (used === 0) continue
    const inodes = await read(table * blockSize, used * inodeSize)
    for (let index = 0; index < used; index++) {
      const inode = inodes.subarray(index * inodeSize, (index + 1) * inodeSize)
      if (inode.readUInt16LE(INODE.mode) !== 0)
        settleInode(inode, group * inodesPerGroup + index + 1, layout.seed)
    }
    await file.write(inodes, 0, inodes.length, start + table * blockSize)
  }
}

interface Layout {
  blockSize: number
  firstBlock: number
  groups: number
  inodesPerGroup: number
  inodeSize: number
  descriptorSize: number
  /** What check sums begin with. */
  seed: number
}

function readLayout(bytes: Uint8Array, path: string): Layout {
  const block = new Fields(bytes, { name: `${path}: superblock` })
  const features = [block.u32(0x60) & FEATURE_64BIT, block.u32(0x64) & FEATURE_CHECKSUMS]
  const inodeSize = block.u16(0x58)
  if (block.u16(0x38) !== MAGIC || features.includes(0) || inodeSize < 256)
    throw new Failure('BUILD_FAILED', `${path} holds no ext4 file system as it was asked for`)
  return {
    blockSize: 1024 << block.u32(0x18),
    firstBlock: block.u32(0x14),
    groups: Math.ceil(block.u32(0) / block.u32(0x28)),
    inodesPerGroup: block.u32(0x28),
    inodeSize,
    descriptorSize: block.u16(0xfe),
    seed: crc32c(block.slice(0x68, 16), 0xffffffff),
  }
}

function settleInode(inode: Buffer, number: number, seed: number): void {
  const modified = inode.readUInt32LE(INODE.modified)
  const fine = inode.readUInt32LE(INODE.fineModified)
  inode.writeUInt32LE(modified, INODE.accessed)
  inode.writeUInt32LE(modified, INODE.changed)
  inode.writeUInt32LE(fine, INODE.fineAccessed)
  inode.writeUInt32LE(fine, INODE.fineChanged)
  inode.writeUInt16LE(0, INODE.sumLow)
  inode.writeUInt16LE(0, INODE.sumHigh)
  const name = Buffer.alloc(4)
  name.writeUInt32LE(number)
  const generation = inode.subarray(INODE.generation, INODE.generation + 4)
  const sum = crc32c(inode, crc32c(generation, crc32c(name, seed)))
  inode.writeUInt16LE(sum & 0xffff, INODE.sumLow)
  inode.writeUInt16LE(sum >>> 16, INODE.sumHigh)
}
