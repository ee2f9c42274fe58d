/**
 * ext2, ext3 and ext4, for reading: what `stat`, `ls`, `readlink` and `cat` would show, without
 * kernel, mount or root. Every length and place is checked before it is used, metadata check sums
 * are verified where the file system has them, and memory does not depend on what the disk says.
 */
import { cached } from '../bytes/cached.ts'
import { Recent } from '../bytes/recent.ts'
import type { Source } from '../bytes/source.ts'
import { readAttributes } from './_ext-attributes.ts'
import { openContents } from './_ext-content.ts'
import { type Entries, readEntries } from './_ext-directory.ts'
import { deviceOf, type Inode, readInode } from './_ext-inode.ts'
import { readSuperblock } from './_ext-superblock.ts'

export type { Entries, Inode }
export { deviceOf }

const MAX_LINK = 4096
const KEPT_ENTRIES = 100_000
const KEPT_INODES = 1000

/** An open file system. Everything fails with IMAGE_UNSAFE, IMAGE_UNREADABLE, IMAGE_TRUNCATED. */
export interface Ext {
  /** The inode of `/`. */
  readonly root: number
  inode(number: number): Promise<Inode>
  /** Of a directory. */
  entries(directory: Inode): Promise<Entries>
  /** The first `length` bytes of a file, or all if it has fewer. */
  read(file: Inode, length: number): Promise<Uint8Array>
  /** `length` bytes of a file from `offset`, both inside its size; holes as zeros. */
  readAt(file: Inode, offset: number, length: number): Promise<Uint8Array>
  /** The runs of a file that hold anything, in order; what stands between them is holes. */
  data(file: Inode): AsyncGenerator<{ offset: number; length: number }>
  /** Extended attributes by their full names, as the kernel shows them. */
  attributes(inode: Inode): Promise<ReadonlyMap<string, Uint8Array>>
  /** Where a link points, as written. */
  target(link: Inode): Promise<string>
  /** As `target`, in bytes. */
  targetBytes(link: Inode): Promise<Uint8Array>
  /** Bytes that its blocks hold, at most: no files of it hold more. */
  readonly size: number
}

/**
 * Opens the file system that fills `disk`. A file system that was not unmounted cleanly is
 * refused: what its journal holds would be missed, and who reads would be told old things.
 * Fails with FILE_SYSTEM_DIRTY, FILE_SYSTEM_UNSUPPORTED, IMAGE_UNSAFE, IMAGE_UNREADABLE,
 * IMAGE_TRUNCATED.
 */
export async function openExt(disk: Source): Promise<Ext> {
  const source = cached(disk)
  const block = await readSuperblock(source)
  const contents = openContents(source, block)
  const targetBytes = async (link: Inode): Promise<Uint8Array> => {
    const { size, layout, fields } = link
    if (size === 0 || size > MAX_LINK)
      throw fields.fault('IMAGE_UNSAFE', 4, `a symbolic link of ${size} bytes`)
    const isShort = layout === 'map' && size < 60
    return isShort ? fields.slice(40, size) : await contents.read(link, 0, size)
  }
  const inodes = new Recent<number, Inode>(KEPT_INODES)
  const directories = new Recent<number, Entries>(KEPT_ENTRIES)
  return {
    root: 2,
    inode: async (number) => {
      const known = inodes.get(number)
      if (known !== undefined) return known
      const inode = await readInode(source, block, number)
      inodes.set(number, inode, 1)
      return inode
    },
    entries: async (directory) => {
      const known = directories.get(directory.number)
      if (known !== undefined) return known
      const entries = await readEntries(contents, block, directory)
      directories.set(directory.number, entries, entries.size + 1)
      return entries
    },
    read: (file, length) => contents.read(file, 0, Math.min(length, file.size)),
    readAt: (file, offset, length) => contents.read(file, offset, length),
    data: (file) => contents.data(file),
    attributes: (inode) => readAttributes(source, block, contents, inode),
    target: async (link) => Buffer.from(await targetBytes(link)).toString(),
    targetBytes,
    size: block.blocks * block.blockSize,
  }
}
