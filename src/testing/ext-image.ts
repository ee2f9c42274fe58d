/** ext file systems made by code, without root, mount or loop device: `mke2fs -d` of a directory. */
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runTool } from '../base/process.ts'
import { KiB } from '../base/units.ts'
import type { Ext, Inode } from '../formats/ext.ts'

/** Content of a file; with its mode; or a symbolic link. A script (`#!`) is 0755 by itself. */
export type TinyFile = string | { content: string | Uint8Array; mode?: number } | { link: string }

/** By absolute path. */
export type TinyFiles = Readonly<Record<string, TinyFile | undefined>>

export interface ExtOptions {
  /** Default `ext4`. */
  fileSystem?: 'ext2' | 'ext3' | 'ext4' | undefined
  uuid?: string | undefined
  /** More arguments for `mke2fs`: `['-O', '^64bit']`. */
  mkfs?: readonly string[] | undefined
}

/** Makes a file with nothing but an ext file system of `size` bytes that holds `files`. */
export async function makeExtImage(
  path: string,
  size: number,
  files: TinyFiles,
  options: ExtOptions = {},
): Promise<void> {
  await makeSparse(path, size)
  await withTree(async (tree) => {
    await layFiles(tree, files)
    await makeExt(path, { offset: 0, length: size }, tree, options)
  })
}

/** A file of holes. */
export async function makeSparse(path: string, size: number): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(size)
}

/** A directory for the time of `work`. */
export async function withTree(work: (tree: string) => Promise<void>): Promise<void> {
  const tree = await mkdtemp(join(tmpdir(), 'ingot-tree-'))
  try {
    await chmod(tree, 0o755)
    await work(tree)
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
}

/** Makes an ext file system with the files below `tree` at a place of an image; root owns all. */
export async function makeExt(
  image: string,
  { offset, length }: { offset: number; length: number },
  tree: string,
  { fileSystem = 'ext4', uuid = '10000000-0000-4000-8000-000000000001', mkfs = [] }: ExtOptions,
): Promise<void> {
  const extended = `root_owner=0:0,offset=${offset},hash_seed=${uuid}`
  const fixed = ['-q', '-F', '-t', fileSystem, '-U', uuid, '-m', '0', '-E', extended]
  await runTool(['mke2fs', ...fixed, ...mkfs, '-d', tree, image, `${length / KiB}k`])
  if (process.getuid?.() !== 0) await ownByRoot(image, offset)
}

/** Gives every file to root, which a user who is not root could not do in the tree. */
async function ownByRoot(image: string, offset: number): Promise<void> {
  const target = `${image}?offset=${offset}`
  const used = await runTool(['debugfs', '-R', 'show_super_stats -h', target])
  const count = Number(/^Inode count:\s+(\d+)/m.exec(used.toString())?.[1] ?? 0)
  const free = Number(/^Free inodes:\s+(\d+)/m.exec(used.toString())?.[1] ?? 0)
  const lines = Array.from({ length: count - free - 10 }, (_, index) => index + 11).flatMap(
    (inode) => [`sif <${inode}> uid 0`, `sif <${inode}> gid 0`],
  )
  await runTool(['debugfs', '-w', target], { input: lines.join('\n') })
}

/** Lays files below a directory of this host. */
export async function layFiles(tree: string, files: TinyFiles): Promise<void> {
  for (const [path, file] of Object.entries(files))
    if (file !== undefined) await layFile(join(tree, path), file)
}

async function layFile(path: string, file: TinyFile): Promise<void> {
  await makeDirectories(dirname(path))
  if (typeof file === 'object' && 'link' in file) return await symlink(file.link, path)
  const { content, mode } = typeof file === 'string' ? { content: file, mode: undefined } : file
  await writeFile(path, content)
  const script = Buffer.from(content).subarray(0, 2).toString() === '#!'
  await chmod(path, mode ?? (script ? 0o755 : 0o644))
}

/** With mode 0755, whatever the umask of whoever runs the tests. */
export async function makeDirectories(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (const made of [first, ...partsBelow(first, path)]) await chmod(made, 0o755)
}

/** `/a/b`, `/a/b/c` of `/a` and `/a/b/c`. */
function partsBelow(top: string, path: string): string[] {
  return path === top ? [] : [...partsBelow(top, dirname(path)), path]
}

/** Data and holes of 4 KiB in turn: four hundred extents. */
export async function layHoles(path: string): Promise<void> {
  await using file = await open(path, 'w')
  for (let index = 0; index < 400; index++)
    await file.write(Buffer.alloc(4 * KiB, index % 250), 0, 4 * KiB, index * 8 * KiB)
}

/** The inode at a path of a file system that was opened. */
export async function findInode(ext: Ext, path: string): Promise<Inode> {
  let inode = await ext.inode(ext.root)
  for (const name of path.split('/').filter((name) => name !== '')) {
    const number = (await ext.entries(inode)).get(name)
    assert.ok(number !== undefined, `${path}: no ${name}`)
    inode = await ext.inode(number)
  }
  return inode
}
