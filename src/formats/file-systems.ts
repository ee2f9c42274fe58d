import { KiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'

/** What a partition or a whole disk is formatted as. */
export interface FileSystem {
  /** As `blkid` and fstab name it: `ext4`, `xfs`, `vfat`, `swap`, `crypto_LUKS`, `LVM2_member`, … */
  readonly type: string
  /** As fstab's UUID= spells it; may be empty. */
  readonly uuid: string
  /** As fstab's LABEL= spells it; may be empty. */
  readonly label: string
}

interface Kind {
  readonly type: string
  /** Latin-1 bytes that stand at `at`. */
  readonly magic: string
  readonly at: number
  /** UUID and label, where they are known; `type` if the magic is not all. */
  readonly read?: (fields: Fields) => Partial<FileSystem>
}

/** Far enough for btrfs, whose first superblock is at 64 KiB. */
const REACH = 68 * KiB

/** In the order they are asked: containers before what could by chance be inside them. */
const KINDS: readonly Kind[] = [
  {
    type: 'crypto_LUKS',
    magic: 'LUKS\xba\xbe',
    at: 0,
    read: (fields) => ({ uuid: fields.text(168, 40) }),
  },
  ...[0, 1, 2, 3].map((sector) => ({
    type: 'LVM2_member',
    magic: 'LVM2 001',
    at: sector * SECTOR + 24,
  })),
  { type: 'linux_raid_member', magic: '\xfc\x4e\x2b\xa9', at: 4 * KiB },
  {
    type: 'xfs',
    magic: 'XFSB',
    at: 0,
    read: (fields) => ({ uuid: uuidAt(fields, 32), label: fields.text(108, 12, 'utf8') }),
  },
  {
    type: 'btrfs',
    magic: '_BHRfS_M',
    at: 64 * KiB + 64,
    read: (fields) => ({
      uuid: uuidAt(fields, 64 * KiB + 32),
      label: fields.text(64 * KiB + 299, 256, 'utf8'),
    }),
  },
  { type: 'ext4', magic: '\x53\xef', at: 1080, read: readExt },
  {
    type: 'swap',
    magic: 'SWAPSPACE2',
    at: 4 * KiB - 10,
    read: (fields) => ({ uuid: uuidAt(fields, 1036), label: fields.text(1052, 16, 'utf8') }),
  },
  { type: 'vfat', magic: 'FAT32   ', at: 82, read: (fields) => readFat(fields, 67) },
  { type: 'vfat', magic: 'FAT16   ', at: 54, read: (fields) => readFat(fields, 39) },
  { type: 'vfat', magic: 'FAT12   ', at: 54, read: (fields) => readFat(fields, 39) },
  { type: 'ntfs', magic: 'NTFS    ', at: 3 },
  { type: 'exfat', magic: 'EXFAT   ', at: 3 },
  { type: 'f2fs', magic: '\x10\x20\xf5\xf2', at: KiB },
  { type: 'squashfs', magic: 'hsqs', at: 0 },
  { type: 'iso9660', magic: 'CD001', at: 32 * KiB + 1 },
]

/** What `source` is formatted as, by its magic numbers; undefined if by nothing known. */
export async function probeFileSystem(source: Source): Promise<FileSystem | undefined> {
  const bytes = Buffer.alloc(REACH) // zeros behind the end of a smaller one
  bytes.set(await source.read(0, Math.min(source.size, REACH)))
  const fields = new Fields(bytes, { name: source.name })
  const kind = KINDS.find(({ at, magic }) => fields.holds(at, magic))
  return kind && { type: kind.type, uuid: '', label: '', ...kind.read?.(fields) }
}

/** ext2, 3 or 4 by what a reader must know: Source: e2fsprogs, libblkid `ext.c`. */
function readExt(fields: Fields): Partial<FileSystem> {
  const journal = (fields.u32(1024 + 92) & 0x4) !== 0
  const new4 = (fields.u32(1024 + 96) & ~0x16) !== 0 || (fields.u32(1024 + 100) & ~0x7) !== 0
  return {
    type: new4 ? 'ext4' : journal ? 'ext3' : 'ext2',
    uuid: uuidAt(fields, 1024 + 104),
    label: fields.text(1024 + 120, 16, 'utf8'),
  }
}

/** Serial number (u32), then the label (11 bytes, padded with spaces). */
function readFat(fields: Fields, at: number): Partial<FileSystem> {
  const serial = fields.u32(at).toString(16).padStart(8, '0').toUpperCase()
  const label = fields.text(at + 4, 11).trimEnd()
  return {
    uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    label: label === 'NO NAME' ? '' : label,
  }
}

function uuidAt(fields: Fields, at: number): string {
  const hex = Buffer.from(fields.slice(at, 16)).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
