/** A guest's files as the guest sees them: file systems mounted into each other, links followed. */
import { posix } from 'node:path'
import { Failure } from '../base/failure.ts'
import type { Ext, Inode } from '../formats/ext.ts'
import { archiveTrees } from './_archive-trees.ts'
import type { FileStat } from './remote.ts'

const MAX_LINKS = 40

/** What stands at a mount point: a file system, or the reason why it cannot be read. */
export interface MountedTree {
  /** `/` for the root, which is always there and readable. */
  path: string
  tree: Ext | Failure
}

/** Where a walk has come to. */
interface Spot {
  path: string
  tree: Ext
  inode: Inode
}

/** All fail with REMOTE_CANNOT where a file system cannot be read, and as `Ext` does. */
export interface GuestTree {
  /** Links not followed; undefined if there is none. */
  stat(path: string): Promise<FileStat | undefined>
  /** Links followed, inside the guest; undefined if there is no such file. */
  readFile(path: string, limit: number): Promise<Uint8Array | undefined>
  /** Sorted; undefined if there is no such directory. */
  list(path: string): Promise<string[] | undefined>
  /** Writes everything into an archive; see `Remote`. */
  archive(file: string): Promise<void>
}

export function makeGuestTree(mounts: readonly MountedTree[]): GuestTree {
  const trees = new Map(mounts.map(({ path, tree }) => [path, tree]))

  const enter = async (path: string): Promise<Spot | undefined> => {
    const tree = trees.get(path)
    if (tree instanceof Failure) throw tree
    return tree && { path, tree, inode: await tree.inode(tree.root) }
  }

  const child = async (parent: Spot, name: string): Promise<Spot | undefined> => {
    const path = posix.join(parent.path, name)
    const mounted = await enter(path)
    if (mounted !== undefined) return mounted
    const number = (await parent.tree.entries(parent.inode)).get(name)
    if (number === undefined) return undefined
    return { path, tree: parent.tree, inode: await parent.tree.inode(number) }
  }

  /** Walks from `/`; undefined if there is nothing, or a link leads in a circle. */
  const walk = async (path: string, followLast: boolean): Promise<Spot | undefined> => {
    const root = await enter('/')
    if (root === undefined) return undefined
    let way = [root]
    const names = path.split('/').reverse()
    for (let links = 0; names.length > 0;) {
      const name = names.pop() ?? ''
      const here = way.at(-1) ?? root
      if (here.inode.type !== 'directory') return undefined
      if (name === '..' && way.length > 1) way.pop()
      if (name === '' || name === '.' || name === '..') continue
      const next = await child(here, name)
      if (next === undefined) return undefined
      if (next.inode.type !== 'link' || (names.length === 0 && !followLast)) {
        way.push(next)
        continue
      }
      if (++links > MAX_LINKS) return undefined
      const target = await next.tree.target(next.inode)
      if (target.startsWith('/')) way = [root]
      names.push(...target.split('/').reverse())
    }
    return way.at(-1)
  }

  return {
    stat: async (path) => {
      const spot = await walk(path, false)
      return spot && (await toStat(spot))
    },
    readFile: async (path, limit) => {
      const spot = await walk(path, true)
      if (spot?.inode.type !== 'file') return undefined
      const { size } = spot.inode
      if (size <= limit) return await spot.tree.read(spot.inode, size)
      throw new Failure(
        'REMOTE_CANNOT',
        `${path} has ${size} bytes, more than the ${limit} that were expected at most`,
      )
    },
    list: async (path) => {
      const spot = await walk(path, true)
      if (spot?.inode.type !== 'directory') return undefined
      return [...(await spot.tree.entries(spot.inode)).keys()].sort()
    },
    archive: (file) => archiveTrees(mounts, file),
  }
}

async function toStat({ tree, inode }: Spot): Promise<FileStat> {
  const { type, mode, uid, gid, size, mtime } = inode
  const stat: FileStat = { type, mode, uid, gid, size, mtime }
  if (type === 'link') stat.target = await tree.target(inode)
  return stat
}
