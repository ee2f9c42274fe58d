/** Ways to find leftovers: by paths with `*`, and by looking for bytes in a tree of files. */
import { posix } from 'node:path'
import type { Remote } from '../remotes/remote.ts'

/** Something that is left in a guest, and how it is taken out. */
export interface Leftover {
  path: string
  /** What is wrong with it; the task's own words when left out. */
  what?: string
  /** Left out: it cannot be taken out. */
  undo?: 'remove' | 'truncate' | (() => Promise<void>)
}

const MAX_DEPTH = 8
const MAX_FILES = 100_000

/** Everything that the patterns name is to be removed; `except` matches whole paths. */
export function findByPath(
  patterns: readonly string[],
  except?: RegExp,
): (remote: Remote) => Promise<Leftover[]> {
  return async (remote) => {
    const found: Leftover[] = []
    for (const pattern of patterns)
      for (const path of await expandPath(remote, pattern))
        if (!except?.test(path)) found.push({ path, undo: 'remove' })
    return found
  }
}

/** Paths that are there and fit the pattern, in which `*` stands for any text within one name. */
export async function expandPath(remote: Remote, pattern: string): Promise<string[]> {
  let paths = ['/']
  for (const part of pattern.split('/').filter((one) => one !== '')) {
    if (!part.includes('*')) {
      paths = paths.map((path) => posix.join(path, part))
      continue
    }
    const fits = toMatcher(part)
    const next: string[] = []
    for (const path of paths)
      for (const name of (await remote.list(path)) ?? [])
        if (fits.test(name)) next.push(posix.join(path, name))
    paths = next
  }
  if (pattern.endsWith('*')) return paths
  const there: string[] = []
  for (const path of paths) if (await remote.stat(path)) there.push(path)
  return there
}

function toMatcher(part: string): RegExp {
  return new RegExp(`^${part.split('*').map(RegExp.escape).join('.*')}$`, 'su')
}

/** Files below `top` that have bytes in them, by path; links are not followed. */
export async function findFilled(remote: Remote, top: string): Promise<string[]> {
  const found: string[] = []
  let seen = 0
  const walk = async (directory: string, depth: number): Promise<void> => {
    for (const name of (await remote.list(directory)) ?? []) {
      if (++seen > MAX_FILES) return
      const path = posix.join(directory, name)
      const stat = await remote.stat(path)
      if (stat?.type === 'directory' && depth < MAX_DEPTH) await walk(path, depth + 1)
      if (stat?.type === 'file' && stat.size > 0) found.push(path)
    }
  }
  await walk(top, 1)
  return found
}
