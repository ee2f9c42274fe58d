/** The archive of a guest's root by our own readers: no kernel, no mount, no program of the guest. */
import { open } from 'node:fs/promises'
import { posix } from 'node:path'
import { asFileFailure, Failure } from '../base/failure.ts'
import { writeAll } from '../bytes/sinks.ts'
import { deviceOf, type Ext, type Inode } from '../formats/ext.ts'
import { pathFault, type TreeAttributes, type TreeNode } from '../formats/tree-archive.ts'
import { TreeArchiveWriter } from '../formats/write-tree-archive.ts'
import { EMPTY_DIRECTORIES } from './archive.ts'
import type { MountedTree } from './_guest-tree.ts'

const EMPTY: ReadonlySet<string> = new Set(EMPTY_DIRECTORIES)

/** Writes the archive to a new file. Fails with REMOTE_CANNOT, NO_SPACE, and as `Ext` does. */
export async function archiveTrees(mounts: readonly MountedTree[], path: string): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    let end = 0
    const archive = new TreeArchiveWriter(async (bytes) => {
      await writeAll(file, bytes, end)
      end += bytes.length
    })
    await new TreeWalk(mounts, archive).addAll()
    await archive.end()
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/** What is known of a file system while its files are archived. */
interface Walked {
  readonly tree: Ext
  /** The first name of each inode that has several. */
  readonly names: Map<number, string>
  /** Directories that were entered: each has one place, or the tree would be endless. */
  readonly entered: Set<number>
  /** Bytes that its files may still hold: no two of them share a block. */
  bytesLeft: number
}

class TreeWalk {
  readonly #walked = new Map<string, Walked | Failure>()
  readonly #archive: TreeArchiveWriter

  constructor(mounts: readonly MountedTree[], archive: TreeArchiveWriter) {
    this.#archive = archive
    for (const { path, tree } of mounts)
      this.#walked.set(
        path,
        tree instanceof Failure
          ? tree
          : { tree, names: new Map(), entered: new Set(), bytesLeft: tree.size },
      )
  }

  async addAll(): Promise<void> {
    const root = this.#mountedAt('/')
    if (root !== undefined) await this.#add(root, await root.tree.inode(root.tree.root), '/')
  }

  #mountedAt(path: string): Walked | undefined {
    const walked = this.#walked.get(path)
    if (walked instanceof Failure) throw walked
    return walked
  }

  /** A file or a directory with everything below it. */
  async #add(walked: Walked, inode: Inode, path: string): Promise<void> {
    const name = Buffer.from(path.slice(1)).toString('latin1')
    const fault = pathFault(name) // a tree as deep as its disk is large would never be walked
    if (fault !== undefined) throw inode.fields.fault('IMAGE_UNSAFE', 0, fault)
    const known = inode.links > 1 ? walked.names.get(inode.number) : undefined
    const node =
      known === undefined
        ? await this.#nodeOf(walked, inode)
        : ({ type: 'hard link', target: known } as const)
    if (node === undefined) return
    const { tree } = walked
    await this.#archive.add(
      { path: name, node, ...(await attributesOf(tree, inode)) },
      (...range) => tree.readAt(inode, ...range),
    )
    if (inode.type === 'directory') await this.#addEntries(walked, inode, path)
    else if (inode.links > 1) walked.names.set(inode.number, known ?? name)
  }

  async #addEntries(walked: Walked, directory: Inode, path: string): Promise<void> {
    if (walked.entered.has(directory.number))
      throw directory.fields.fault('IMAGE_UNSAFE', 0, `a second name, ${path}, for a directory`)
    walked.entered.add(directory.number)
    if (EMPTY.has(path)) return
    const entries = [...(await walked.tree.entries(directory))]
    for (const [name, number] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const child = posix.join(path, name)
      if (name.includes('\uFFFD'))
        throw new Failure('REMOTE_CANNOT', `the name of ${child} is not UTF-8`, {
          fix: 'Use --via appliance.',
        })
      const mounted = EMPTY.has(child) ? undefined : this.#mountedAt(child)
      await (mounted === undefined
        ? this.#add(walked, await walked.tree.inode(number), child)
        : this.#add(mounted, await mounted.tree.inode(mounted.tree.root), child))
    }
  }

  /** Undefined for what no archive has: sockets. */
  async #nodeOf(walked: Walked, inode: Inode): Promise<TreeNode | undefined> {
    const { tree } = walked
    switch (inode.type) {
      case 'directory':
        return { type: 'directory' }
      case 'link':
        return {
          type: 'link',
          target: Buffer.from(await tree.targetBytes(inode)).toString('latin1'),
        }
      case 'file': {
        const data = await Array.fromAsync(tree.data(inode))
        for (const { length } of data) walked.bytesLeft -= length
        if (walked.bytesLeft >= 0) return { type: 'file', size: inode.size, data }
        throw inode.fields.fault('IMAGE_UNSAFE', 4, 'files that hold more bytes than the disk')
      }
      default:
        if (inode.special === 'fifo') return { type: 'fifo' }
        if (inode.special === 'character' || inode.special === 'block')
          return { type: inode.special, ...deviceOf(inode) }
        return undefined
    }
  }
}

async function attributesOf(tree: Ext, inode: Inode): Promise<TreeAttributes> {
  const { mode, uid, gid, mtime } = inode
  return { mode, uid, gid, mtime, extended: await tree.attributes(inode) }
}
