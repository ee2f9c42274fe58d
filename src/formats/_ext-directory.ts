import { MiB } from '../base/units.ts'
import { crc32c } from '../bytes/crc32c.ts'
import { Fields } from '../bytes/fields.ts'
import { type Contents, inlineParts } from './_ext-content.ts'
import type { Inode } from './_ext-inode.ts'
import type { Superblock } from './_ext-superblock.ts'

/** More than any system directory has; a directory of a mail store may have more. */
const MAX_ENTRIES = 250_000
const MAX_SIZE = 32 * MiB
const TAIL = 12
const TAIL_TYPE = 0xde
/** Where the index begins: after `.`, `..` and 8 bytes about it; after one unused entry. */
const ROOT_COUNT = 32
const NODE_COUNT = 8

/** Names of a directory without `.` and `..`, each with the number of its inode. */
export type Entries = ReadonlyMap<string, number>

/**
 * Reads a directory from its first to its last block. Index blocks of hashed directories look like
 * unused entries to this reader, as they were made to.
 * Fails with IMAGE_UNSAFE, IMAGE_UNREADABLE (check sum), FILE_SYSTEM_UNSUPPORTED (too large).
 */
export async function readEntries(
  contents: Contents,
  block: Superblock,
  directory: Inode,
): Promise<Entries> {
  const entries = new Map<string, number>()
  const { fields, size } = directory
  const name = `${fields.name}, its entries`
  if (directory.layout === 'inline') {
    const [map, more] = inlineParts(directory)
    // the first four bytes are the parent
    for (const bytes of [map.subarray(4), more])
      parseEntries(new Fields(bytes, { name }), block, entries)
    return entries
  }
  if (size % block.blockSize !== 0)
    throw fields.fault('IMAGE_UNSAFE', 4, `a directory of ${size} bytes is not whole blocks`)
  for (let start = 0; start < size; start += block.blockSize) {
    if (start > MAX_SIZE || entries.size > MAX_ENTRIES)
      throw fields.fault('FILE_SYSTEM_UNSUPPORTED', 4, 'too large a directory')
    const bytes = await contents.read(directory, start, block.blockSize)
    const part = new Fields(bytes, { name, start })
    if (directory.seed !== undefined) checkSum(part, directory.seed)
    parseEntries(part, block, entries)
  }
  return entries
}

/**
 * A block ends in something like an unused entry that holds the check sum of all before it. In an index block the last entry
 * spans the whole index, and what lies at its end may be left from the block that it once was: it has a sum of its own.
 */
function checkSum(part: Fields, seed: number): void {
  const { length } = part.bytes
  const [first, second] = [part.u16(4), part.u16(16)]
  if (first === 12 && second === length - 12) return checkIndex(part, ROOT_COUNT, seed)
  if (part.u32(0) === 0 && first === length) return checkIndex(part, NODE_COUNT, seed)
  const tail = length - TAIL
  const present =
    part.u32(tail) === 0 && part.u16(tail + 4) === TAIL && part.u8(tail + 7) === TAIL_TYPE
  if (present && crc32c(part.slice(0, tail), seed) !== part.u32(tail + 8))
    throw part.fault('IMAGE_UNREADABLE', tail + 8, 'wrong check sum')
}

/**
 * An index: 0 how many pairs (8 bytes each, this one too) have room, 2 how many there are. After the room: 4 bytes, the sum.
 * Source: the kernel's Documentation/filesystems/ext4/directory.rst; ext4_dx_csum in fs/ext4/namei.c.
 */
function checkIndex(part: Fields, at: number, seed: number): void {
  const tail = at + part.u16(at) * 8
  const used = at + part.u16(at + 2) * 8
  // Without room for a sum there is none; a root without an index is an old directory of one block.
  if (tail + 8 > part.bytes.length || used > tail || used <= at) return
  const pairs = crc32c(part.slice(0, used), seed)
  const sum = crc32c(Buffer.alloc(4), crc32c(part.slice(tail, 4), pairs))
  if (sum !== part.u32(tail + 4)) throw part.fault('IMAGE_UNREADABLE', tail + 4, 'wrong check sum')
}

/** Entry: 0 inode, 4 length of the entry, 6 length of the name, 7 type of the file, 8 name. */
function parseEntries(part: Fields, block: Superblock, into: Map<string, number>): void {
  const end = part.bytes.length
  for (let at = 0; at + 8 <= end;) {
    const inode = part.u32(at)
    const raw = part.u16(at + 4)
    const length = raw === 0xffff || (raw === 0 && end >= 65536) ? end - at : raw
    const nameLength = block.fileTypes ? part.u8(at + 6) : part.u16(at + 6)
    if (length < 8 + nameLength || length % 4 !== 0 || at + length > end)
      throw part.fault('IMAGE_UNSAFE', at + 4, `an entry of ${length} bytes, name ${nameLength}`)
    if (inode > block.inodes) throw part.fault('IMAGE_UNSAFE', at, `inode ${inode} does not exist`)
    const name = inode === 0 ? '.' : nameAt(part, at + 8, nameLength)
    if (name !== '.' && name !== '..' && !into.has(name)) into.set(name, inode)
    at += length
  }
}

function nameAt(part: Fields, at: number, length: number): string {
  const name = part.chars(at, length, 'utf8')
  if (name !== '' && !/[/\0]/.test(name)) return name
  throw part.fault('IMAGE_UNSAFE', at, `${JSON.stringify(name)} cannot be the name of a file`)
}
