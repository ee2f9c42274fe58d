import { crc32c } from '../bytes/crc32c.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import type { Contents } from './_ext-content.ts'
import { type Inode, readInode } from './_ext-inode.ts'
import type { Superblock } from './_ext-superblock.ts'

const MAGIC = 0xea020000
const BLOCK_HEADER = 32
const ENTRY = 16
/** Source: Linux, XATTR_SIZE_MAX. */
const MAX_VALUE = 65_536
const ACCESS = 2
const DEFAULT = 3

/** What a number in an entry stands for. Source: Linux, fs/ext4/xattr.h. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'user.',
  [ACCESS]: 'system.posix_acl_access',
  [DEFAULT]: 'system.posix_acl_default',
  4: 'trusted.',
  6: 'security.',
  8: 'system.richacl',
}

/** Where attributes stand: entries from `first` on, values counted from `base` on. */
interface Table {
  readonly fields: Fields
  readonly first: number
  readonly base: number
}

/**
 * Extended attributes of a file by their full names, as the kernel shows them. Some stand in the
 * inode, some in a block that files may share.
 *
 * | in the inode | size | field          | in the block | size | field                     |
 * | ------------ | ---- | -------------- | ------------ | ---- | ------------------------- |
 * | 104          | 4    | block, lower   | 0            | 4    | magic ea020000            |
 * | 118          | 2    | block, upper   | 8            | 4    | blocks, always 1          |
 * | 128 + extra  | 4    | magic ea020000 | 16           | 4    | check sum                 |
 * | then         |      | entries        | 32           |      | entries, then four zeros  |
 *
 * | entry | size | field                      | entry | size | field                           |
 * | ----- | ---- | -------------------------- | ----- | ---- | ------------------------------- |
 * | 0     | 1    | length of the name         | 4     | 4    | inode of the value, 0 if here   |
 * | 1     | 1    | number of the name's start | 8     | 4    | length of the value             |
 * | 2     | 2    | place of the value         | 16    |      | name                            |
 *
 * Fails with IMAGE_UNSAFE, IMAGE_UNREADABLE (check sum). Source: Linux,
 * Documentation/filesystems/ext4/attributes.rst.
 */
export async function readAttributes(
  source: Source,
  block: Superblock,
  contents: Contents,
  inode: Inode,
): Promise<Map<string, Buffer>> {
  const tables = [tableInside(inode), await tableInBlock(source, block, inode)]
  const found = new Map<string, Buffer>()
  /** A large value is the content of an inode of its own. */
  const readValue = async (inode: Inode, length: number): Promise<Buffer> => {
    if (inode.type === 'file' && inode.size === length)
      return Buffer.from(await contents.read(inode, 0, length))
    throw inode.fields.fault('IMAGE_UNSAFE', 4, `this is no attribute of ${length} bytes`)
  }
  for (const table of tables)
    for (const { name, kind, length, place, valueInode, at } of entriesOf(table)) {
      const key = NAMES[kind]
      if (key === undefined || table === undefined) continue // `system.data` is content
      if (length > MAX_VALUE)
        throw table.fields.fault('IMAGE_UNSAFE', at + 8, `an attribute of ${length} bytes`)
      const value =
        valueInode === 0
          ? Buffer.from(table.fields.slice(table.base + place, length))
          : await readValue(await readInode(source, block, valueInode), length)
      const isList = kind === ACCESS || kind === DEFAULT
      found.set(key + name, isList ? toKernelList(value, table.fields, at) : value)
    }
  return found
}

function tableInside({ fields }: Inode): Table | undefined {
  const { length } = fields.bytes
  const magic = length > 128 ? 128 + fields.u16(128) : length
  if (magic + 4 > length || fields.u32(magic) !== MAGIC) return undefined
  return { fields, first: magic + 4, base: magic + 4 }
}

async function tableInBlock(
  source: Source,
  block: Superblock,
  { fields }: Inode,
): Promise<Table | undefined> {
  const number = fields.u32(104) + fields.u16(118) * 2 ** 32
  if (number === 0) return undefined
  if (number <= block.firstBlock || number >= block.blocks)
    throw fields.fault('IMAGE_UNSAFE', 104, `attributes in block ${number} of ${block.blocks}`)
  const start = number * block.blockSize
  const bytes = await source.read(start, block.blockSize)
  const table = new Fields(bytes, { name: `${source.name}: attributes`, start })
  if (table.u32(0) !== MAGIC || table.u32(8) !== 1)
    throw table.fault('IMAGE_UNSAFE', 0, 'this is no block of attributes')
  if (block.seed !== undefined) checkSum(table, number, block.seed)
  return { fields: table, first: BLOCK_HEADER, base: 0 }
}

function checkSum(table: Fields, number: number, seed: number): void {
  const place = Buffer.alloc(8)
  place.writeBigUInt64LE(BigInt(number))
  const plain = Buffer.from(table.bytes)
  plain.writeUInt32LE(0, 16)
  if (crc32c(plain, crc32c(place, seed)) !== table.u32(16))
    throw table.fault('IMAGE_UNREADABLE', 16, 'wrong check sum')
}

function* entriesOf(table: Table | undefined) {
  if (table === undefined) return
  const { fields, first } = table
  const end = fields.bytes.length
  for (let at = first; at + ENTRY <= end && fields.u32(at) !== 0;) {
    const nameLength = fields.u8(at)
    yield {
      at,
      kind: fields.u8(at + 1),
      place: fields.u16(at + 2),
      valueInode: fields.u32(at + 4),
      length: fields.u32(at + 8),
      name: fields.chars(at + ENTRY, nameLength),
    }
    at += ENTRY + Math.ceil(nameLength / 4) * 4
  }
}

/** What names a user or a group. Source: acl(5), ACL_USER and ACL_GROUP. */
const NAMED: ReadonlySet<number> = new Set([0x02, 0x08])

/**
 * An access list as the kernel shows it. On the disk: version 1, then entries of tag and permissions
 * (2 bytes each) with an id (4) only where one is named; shown: version 2, entries of 8 bytes.
 * Source: Linux, fs/ext4/acl.h and include/uapi/linux/posix_acl_xattr.h.
 */
function toKernelList(value: Buffer, fields: Fields, at: number): Buffer {
  const list = new Fields(value, { name: `${fields.name}, an access list`, start: fields.start })
  if (list.u32(0) !== 1) throw fields.fault('IMAGE_UNSAFE', at, 'an access list of another version')
  const shown = [Buffer.from([2, 0, 0, 0])]
  for (let entry = 4; entry < value.length;) {
    const isNamed = NAMED.has(list.u16(entry))
    const id = Buffer.alloc(4, 0xff)
    if (isNamed) id.writeUInt32LE(list.u32(entry + 4))
    shown.push(Buffer.from(list.slice(entry, 4)), id)
    entry += isNamed ? 8 : 4
  }
  return Buffer.concat(shown)
}
