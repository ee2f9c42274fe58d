/**
 * A running guest whose tree was listed by one command: clean-up asks hundreds of times what is where, and each question
 * over SSH costs a process in the guest.
 */
import { posix } from 'node:path'
import type { FileStat, Remote } from '../remotes/remote.ts'

/** Where clean-up looks, and how deep. */
const ROOTS: readonly (readonly [string, number])[] = [
  ['/etc', 5],
  ['/var', 4],
  ['/var/log', 9],
  ['/root', 2],
  ['/home', 3],
  ['/tmp', 1],
  ['/boot', 3],
  ['/efi', 3],
  ['/usr/sbin', 1],
  ['/usr/lib/systemd', 2],
]
/** A remote keeps no more for certain; a tree that is larger is asked piece by piece. */
const MAX_LISTED = 4 * 1024 * 1024
const FIND = `for word; do
  find "\${word%:*}" -xdev -maxdepth "\${word##*:}" -printf '%y %m %U %G %s %T@ %p\\0%l\\0' 2>/dev/null
done; :`

const TYPES: Readonly<Record<string, FileStat['type']>> = { f: 'file', d: 'directory', l: 'link' }

/** The same guest; what was listed is not asked for again. Nothing may be changed as long as it is used. */
export async function withListedTree(remote: Remote): Promise<Remote> {
  const words = ROOTS.map(([path, depth]) => `${path}:${depth}`)
  const { code, stdout } = await remote.run({ argv: ['sh', '-c', FIND, 'sh', ...words] })
  const stats = code === 0 && stdout.length < MAX_LISTED ? statsIn(stdout) : new Map()
  if (stats.size === 0) return remote
  const names = namesIn(stats)

  /** What is known of a path; undefined: it has to be asked. */
  const known = (path: string): { stat: FileStat | undefined } | undefined => {
    const at = posix.normalize(path)
    return isListed(at, stats) ? { stat: stats.get(at) } : undefined
  }
  return {
    ...remote,
    stat: async (path) => {
      const found = known(path)
      return found === undefined ? await remote.stat(path) : found.stat
    },
    exists: async (path) => {
      const found = known(path)
      const isSure = found !== undefined && found.stat?.type !== 'link'
      return isSure ? found.stat !== undefined : await remote.exists(path)
    },
    list: async (path) => {
      const inside = known(posix.join(path, 'x'))
      if (inside === undefined) return await remote.list(path)
      return stats.get(posix.normalize(path))?.type === 'directory'
        ? (names.get(posix.normalize(path)) ?? [])
        : undefined
    },
  }
}

function statsIn(output: string): Map<string, FileStat> {
  const stats = new Map<string, FileStat>()
  const parts = output.split('\0')
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [, type = '', mode = '', uid, gid, size, time, path = ''] =
      /^(\S) (\d+) (\d+) (\d+) (\d+) (\S+) (.+)$/s.exec(parts[at] ?? '') ?? []
    if (path === '') continue
    stats.set(path, {
      type: TYPES[type] ?? 'other',
      mode: Number.parseInt(mode, 8),
      uid: Number(uid),
      gid: Number(gid),
      size: Number(size),
      mtime: Math.floor(Number(time)),
      ...(type === 'l' && { target: parts[at + 1] ?? '' }),
    })
  }
  return stats
}

function namesIn(stats: ReadonlyMap<string, FileStat>): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const path of stats.keys()) {
    const parent = posix.dirname(path)
    names.set(parent, [...(names.get(parent) ?? []), posix.basename(path)])
  }
  for (const all of names.values()) all.sort()
  return names
}

/** Whether the list says all of a path: it is within a root, not too deep, and no link leads out on the way. */
function isListed(path: string, stats: ReadonlyMap<string, FileStat>): boolean {
  const isWithin = ROOTS.some(([root, depth]) => {
    if (!stats.has(root) || !path.startsWith(`${root}/`)) return false
    return path.slice(root.length + 1).split('/').length <= depth
  })
  if (!isWithin) return false
  for (let at = posix.dirname(path); at !== '/'; at = posix.dirname(at))
    if (stats.get(at)?.type === 'link') return false
  return true
}
