/**
 * Files of a guest whose root is a directory of this host. Symbolic links are followed as the guest
 * would follow them: an absolute one starts at its root, and `..` never leads out of it.
 */
import { randomUUID } from 'node:crypto'
import { lstatSync, readlinkSync } from 'node:fs'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Failure, systemCode } from '../base/failure.ts'
import { readFileStat, unlessMissing } from './_host-files.ts'
import type { FileAttributes, FileStat } from './remote.ts'

const MAX_LINKS = 40

/** The path on this host of the guest's `path`; its last part is followed too unless told not to. */
export function resolveInGuest(root: string, path: string, followLast = true): string {
  const todo = path.split('/').filter((part) => part !== '' && part !== '.')
  const done: string[] = []
  let links = 0
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === '..') {
      done.pop()
      continue
    }
    const here = join(root, ...done, part)
    const target = followLast || todo.length > 0 ? linkTarget(here) : undefined
    if (target === undefined) {
      done.push(part)
      continue
    }
    if (++links > MAX_LINKS)
      throw Object.assign(new Error(`${path}: too many symbolic links`), { code: 'ELOOP' })
    if (target.startsWith('/')) done.length = 0
    todo.unshift(...target.split('/').filter((one) => one !== '' && one !== '.'))
  }
  return join(root, ...done)
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined // nothing there: the caller will see
  }
}

/** The file operations of a remote, on the guest below `root`. */
export function openGuestFiles(root: string) {
  const at = (path: string) => resolveInGuest(root, path)
  const itself = (path: string) => resolveInGuest(root, path, false)
  return {
    readFile: (path: string, limit: number): Promise<Uint8Array | undefined> =>
      unlessMissing(async () => {
        const found = await stat(at(path))
        if (!found.isFile()) return undefined
        if (found.size > limit)
          throw new Failure(
            'REMOTE_CANNOT',
            `${path} has ${found.size} bytes; expected at most ${limit}`,
          )
        return await readFile(at(path))
      }),
    stat: (path: string): Promise<FileStat | undefined> =>
      unlessMissing(async () => await readFileStat(itself(path))),
    list: (path: string): Promise<string[] | undefined> =>
      unlessMissing(async () => (await readdir(at(path))).sort()),
    writeFile: async (
      path: string,
      content: Uint8Array,
      attributes: Required<FileAttributes>,
    ): Promise<void> => {
      const target = itself(path)
      const beside = join(dirname(target), `.ingot-${randomUUID()}`)
      try {
        await using file = await open(beside, 'wx', 0o600)
        await file.writeFile(content)
        await file.chown(attributes.uid, attributes.gid)
        await file.chmod(attributes.mode)
        await rename(beside, target)
      } catch (error) {
        await rm(beside, { force: true })
        throw systemCode(error) === 'ENOSPC'
          ? new Failure('NO_SPACE', `no space left in the guest while writing ${path}`, {
              cause: error,
            })
          : error
      }
    },
    makeDirectory: async (path: string): Promise<void> => {
      await mkdir(at(path), { recursive: true, mode: 0o755 })
    },
    setAttributes: async (path: string, { mode, uid, gid }: FileAttributes): Promise<void> => {
      const target = itself(path)
      const found = await lstat(target)
      if (uid !== undefined || gid !== undefined)
        await (found.isSymbolicLink() ? lchown : chown)(target, uid ?? found.uid, gid ?? found.gid)
      if (mode !== undefined && !found.isSymbolicLink()) await chmod(target, mode)
    },
    makeLink: async (path: string, target: string): Promise<void> => {
      const beside = join(dirname(itself(path)), `.ingot-${randomUUID()}`)
      await symlink(target, beside)
      await rename(beside, itself(path)).catch(async (error: unknown) => {
        await rm(beside, { force: true })
        throw error
      })
    },
    remove: (path: string): Promise<void> => rm(itself(path), { recursive: true, force: true }),
  }
}
