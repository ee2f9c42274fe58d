/** What all remotes do alike that reach a guest's files as files of this host. */
import { lstat, readlink } from 'node:fs/promises'
import { systemCode } from '../base/failure.ts'
import type { FileStat } from './remote.ts'

/** What says that there is no such thing, in the place or on the way to it. */
const NOT_THERE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/** What is at `path` itself, which no link leads to. */
export async function readFileStat(path: string): Promise<FileStat> {
  const found = await lstat(path)
  const type = found.isFile()
    ? 'file'
    : found.isDirectory()
      ? 'directory'
      : found.isSymbolicLink()
        ? 'link'
        : 'other'
  return {
    type,
    mode: found.mode & 0o7777,
    uid: found.uid,
    gid: found.gid,
    size: found.size,
    mtime: Math.floor(found.mtimeMs / 1000),
    ...(type === 'link' && { target: await readlink(path) }),
  }
}

/** What `look` gives; undefined where there is no such thing. */
export async function unlessMissing<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (NOT_THERE.has(systemCode(error))) return undefined
    throw error
  }
}
