import { formatSize, KiB } from '../base/units.ts'
import { crc32c } from '../bytes/crc32c.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'

const START = 1024
const LENGTH = 1024
const VALID_STATE = 0x1
const ERROR_STATE = 0x2
const HAS_JOURNAL = 0x4
const SPARSE_SUPER_2 = 0x200
const SPARSE_SUPER = 0x1
const METADATA_CHECKSUMS = 0x400

/** Features without which a file system is read wrongly: those that Ingot reads … */
const FILE_TYPE = 0x2
const NEEDS_RECOVERY = 0x4
const META_GROUPS = 0x10
const EXTENTS = 0x40
const WIDE = 0x80
const MULTIPLE_MOUNT_PROTECTION = 0x100
const FLEXIBLE_GROUPS = 0x200
const XATTR_INODES = 0x400
const CHECKSUM_SEED = 0x2000
const LARGE_DIRECTORIES = 0x4000
const INLINE_DATA = 0x8000
const ENCRYPTED_FILES = 0x10000
const READABLE =
  FILE_TYPE |
  META_GROUPS |
  EXTENTS |
  WIDE |
  MULTIPLE_MOUNT_PROTECTION |
  FLEXIBLE_GROUPS |
  XATTR_INODES |
  CHECKSUM_SEED |
  LARGE_DIRECTORIES |
  INLINE_DATA |
  ENCRYPTED_FILES
/** … and names of those that it does not. */
const UNREADABLE: Readonly<Record<number, string>> = {
  0x1: 'compression',
  0x8: 'an external journal',
  0x1000: 'data in directories',
  0x20000: 'case-insensitive names',
}

/** What an ext file system says of itself, checked. */
export interface Superblock {
  readonly blockSize: number
  readonly blocks: number
  readonly firstBlock: number
  readonly blocksPerGroup: number
  readonly groups: number
  readonly inodes: number
  readonly inodesPerGroup: number
  readonly inodeSize: number
  readonly descriptorSize: number
  /** First block group whose descriptors stand in the group itself; Infinity if none. */
  readonly firstMetaGroup: number
  /** Whether a copy of the superblock stands at the start of this group. */
  readonly hasCopy: (group: number) => boolean
  /** Entries of directories name the type, so names have at most 255 bytes. */
  readonly fileTypes: boolean
  /** What check sums of metadata start from; undefined if there are none. */
  readonly seed: number | undefined
}

/**
 * Reads and checks the superblock of ext2, ext3 or ext4.
 *
 * | offset | size | field                       | offset | size | field                      |
 * | ------ | ---- | --------------------------- | ------ | ---- | -------------------------- |
 * | 0      | 4    | inodes                      | 92     | 4    | compatible features        |
 * | 4      | 4    | blocks, lower half          | 96     | 4    | incompatible features      |
 * | 20     | 4    | first data block            | 100    | 4    | read-only compatible       |
 * | 24     | 4    | block size, 2^(10 + x)      | 104    | 16   | UUID                       |
 * | 32     | 4    | blocks per group            | 254    | 2    | size of a group descriptor |
 * | 40     | 4    | inodes per group            | 260    | 4    | first meta block group     |
 * | 56     | 2    | magic ef53                  | 336    | 4    | blocks, upper half         |
 * | 58     | 2    | state                       | 588    | 8    | groups with copies         |
 * | 76     | 4    | revision                    | 624    | 4    | seed of check sums         |
 * | 88     | 2    | inode size                  | 1020   | 4    | check sum                  |
 *
 * Fails with FILE_SYSTEM_DIRTY, FILE_SYSTEM_UNSUPPORTED, IMAGE_UNSAFE, IMAGE_UNREADABLE (check sum),
 * IMAGE_TRUNCATED. Source: Linux, Documentation/filesystems/ext4/super.rst.
 */
export async function readSuperblock(source: Source): Promise<Superblock> {
  const name = `${source.name}: ext superblock`
  const fields = new Fields(await source.read(START, LENGTH), { name, start: START })
  if (fields.u16(56) !== 0xef53) throw fields.fault('IMAGE_UNREADABLE', 56, 'this is no ext')
  const checksummed = (fields.u32(100) & METADATA_CHECKSUMS) !== 0
  if (checksummed && crc32c(fields.slice(0, 1020), 0xffffffff) !== fields.u32(1020))
    throw fields.fault('IMAGE_UNREADABLE', 1020, 'wrong check sum')
  checkFeatures(fields)
  checkClean(fields)
  const geometry = readGeometry(fields)
  const end = geometry.blocks * geometry.blockSize
  if (end > source.size)
    throw fields.fault('IMAGE_TRUNCATED', 4, `it needs ${end} bytes, but has only ${source.size}`)
  const incompatible = fields.u32(96)
  return {
    ...geometry,
    firstMetaGroup: incompatible & META_GROUPS ? fields.u32(260) : Infinity,
    hasCopy: copiesOf(fields),
    fileTypes: (incompatible & FILE_TYPE) !== 0,
    seed: checksummed ? seedOf(fields, incompatible) : undefined,
  }
}

function seedOf(fields: Fields, incompatible: number): number {
  return incompatible & CHECKSUM_SEED ? fields.u32(624) : crc32c(fields.slice(104, 16), 0xffffffff)
}

function checkFeatures(fields: Fields): void {
  const unknown = fields.u32(96) & ~(READABLE | NEEDS_RECOVERY)
  if (unknown === 0) return
  const names = Object.entries(UNREADABLE)
    .filter(([bit]) => (unknown & Number(bit)) !== 0)
    .map(([, name]) => name)
  const what = names.join(', ') || `features 0x${(unknown >>> 0).toString(16)}`
  throw fields.fault('FILE_SYSTEM_UNSUPPORTED', 96, `it has ${what}, which Ingot does not read`)
}

/** What is only in the journal would be missed, so nothing is read from a file system in use. */
function checkClean(fields: Fields): void {
  const state = fields.u16(58)
  const reason =
    (fields.u32(96) & NEEDS_RECOVERY) !== 0
      ? 'its journal holds changes that are not in place yet'
      : (fields.u32(92) & HAS_JOURNAL) === 0 && (state & VALID_STATE) === 0
        ? 'it was not unmounted cleanly'
        : (state & ERROR_STATE) !== 0
          ? 'it is marked as having errors'
          : undefined
  if (reason !== undefined) throw fields.fault('FILE_SYSTEM_DIRTY', 58, reason)
}

function readGeometry(fields: Fields) {
  const shift = fields.u32(24)
  if (shift > 6) throw fields.fault('IMAGE_UNSAFE', 24, `blocks of 2^${10 + shift} bytes`)
  const blockSize = KiB << shift
  const wide = (fields.u32(96) & WIDE) !== 0
  const blocks = fields.u32(4) + (wide ? fields.u32(336) * 2 ** 32 : 0)
  const firstBlock = fields.u32(20)
  if (firstBlock > 1 || blocks <= firstBlock)
    throw fields.fault('IMAGE_UNSAFE', 20, `first block ${firstBlock} of ${blocks}`)
  const blocksPerGroup = fields.u32(32)
  const inodesPerGroup = fields.u32(40)
  if (blocksPerGroup === 0 || inodesPerGroup === 0 || inodesPerGroup > 8 * blockSize)
    throw fields.fault(
      'IMAGE_UNSAFE',
      32,
      `groups of ${blocksPerGroup} blocks and ${inodesPerGroup} inodes`,
    )
  const groups = Math.ceil((blocks - firstBlock) / blocksPerGroup)
  const inodes = fields.u32(0)
  if (inodes > groups * inodesPerGroup)
    throw fields.fault('IMAGE_UNSAFE', 0, `${inodes} inodes in ${groups} groups`)
  const inodeSize = fields.u32(76) === 0 ? 128 : fields.u16(88)
  if (inodeSize < 128 || inodeSize > blockSize || !isPowerOfTwo(inodeSize))
    throw fields.fault('IMAGE_UNSAFE', 88, `inodes of ${formatSize(inodeSize)}`)
  const descriptorSize = wide ? fields.u16(254) : 32
  if (descriptorSize < 32 || descriptorSize > KiB || !isPowerOfTwo(descriptorSize))
    throw fields.fault('IMAGE_UNSAFE', 254, `group descriptors of ${descriptorSize} bytes`)
  return {
    blockSize,
    blocks,
    firstBlock,
    blocksPerGroup,
    groups,
    inodes,
    inodesPerGroup,
    inodeSize,
    descriptorSize,
  }
}

/** In groups 0, 1 and powers of 3, 5 and 7; in two that are named; or in all. */
function copiesOf(fields: Fields): (group: number) => boolean {
  if ((fields.u32(92) & SPARSE_SUPER_2) !== 0) {
    const named = new Set([0, fields.u32(588), fields.u32(592)])
    return (group) => named.has(group)
  }
  if ((fields.u32(100) & SPARSE_SUPER) === 0) return () => true
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPowerOf(group, base))
}

function isPowerOf(value: number, base: number): boolean {
  return value === 1 || (value % base === 0 && isPowerOf(value / base, base))
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0
}
