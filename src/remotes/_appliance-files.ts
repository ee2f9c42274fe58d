/** The files of a guest by libguestfs's calls. Symbolic links are followed in the guest only. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:os'
import { posix } from 'node:path'
import { Failure } from '../base/failure.ts'
import { CHUNK, type Guestfs, GuestfsError } from './_libguestfs.ts'
import type { FileAttributes, FileStat } from './remote.ts'

const { ENOENT, ENOTDIR, ELOOP, ENOSPC, EDQUOT } = constants.errno
/** Errors that mean: there is no such file. */
const NOT_THERE: ReadonlySet<number> = new Set([ENOENT, ENOTDIR, ELOOP])
const FULL: ReadonlySet<number> = new Set([ENOSPC, EDQUOT])

const TYPE_MASK = 0o170000
const TYPES: Readonly<Record<number, FileStat['type']>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'link',
}

export type ApplianceFiles = ReturnType<typeof openApplianceFiles>

/** What libguestfs could not do in the guest, as a Failure. */
export function toGuestFailure(error: unknown, what: string): unknown {
  if (!(error instanceof GuestfsError)) return error
  if (error.gone)
    return new Failure('REMOTE_LOST', `the appliance ended while ${what}`, { cause: error })
  if (FULL.has(error.errno) || /No space left on device/.test(error.message))
    return new Failure('NO_SPACE', `no space left in the guest while ${what}`, {
      fix: 'Give the image a larger disk.',
      cause: error,
    })
  return new Failure('REMOTE_CANNOT', `${what}: ${error.message}`, { cause: error })
}

/** The answer, or undefined where the file is not there. */
async function ifThere<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GuestfsError && NOT_THERE.has(error.errno)) return undefined
    throw toGuestFailure(error, what)
  }
}

async function must(what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw toGuestFailure(error, what)
  }
}

export function openApplianceFiles(guestfs: Guestfs) {
  const writeAll = async (path: string, content: Uint8Array) => {
    await guestfs.write(path, content.subarray(0, CHUNK), Math.min(content.length, CHUNK))
    for (let at = CHUNK; at < content.length; at += CHUNK) {
      const piece = content.subarray(at, at + CHUNK)
      await guestfs.append(path, piece, piece.length)
    }
  }

  /** Puts what `make` makes at a path beside in the place of `path`. */
  const replace = async (path: string, make: (beside: string) => Promise<unknown>) => {
    const beside = posix.join(posix.dirname(path), `.ingot-${randomBytes(8).toString('hex')}`)
    try {
      await make(beside)
      await guestfs.rename(beside, path)
    } catch (error) {
      await guestfs.removeFile(beside).catch(() => {}) // it may never have been made
      throw error
    }
  }

  const changeOwner = (path: string, { uid = -1, gid = -1 }: FileAttributes) =>
    guestfs.changeOwner(uid, gid, path)

  return {
    /** Of a larger file one byte more than `limit`: so the caller knows. */
    readFile: (path: string, limit: number): Promise<Uint8Array | undefined> =>
      ifThere(`reading ${path}`, async () => {
        const { mode, size } = await guestfs.stat(path)
        if (TYPES[mode & TYPE_MASK] !== 'file') return undefined // a pipe would never answer
        const wanted = Math.min(size, limit + 1)
        const pieces: Buffer[] = []
        for (let at = 0; at < wanted;) {
          const piece = await guestfs.read(path, Math.min(CHUNK, wanted - at), at)
          if (piece.length === 0) break
          pieces.push(piece)
          at += piece.length
        }
        return Buffer.concat(pieces)
      }),

    stat: (path: string): Promise<FileStat | undefined> =>
      ifThere(`looking at ${path}`, async () => {
        const { mode, ...rest } = await guestfs.lstat(path)
        const type = TYPES[mode & TYPE_MASK] ?? 'other'
        const stat: FileStat = { type, mode: mode & 0o7777, ...rest }
        if (type === 'link') stat.target = await guestfs.readlink(path)
        return stat
      }),

    list: (path: string): Promise<string[] | undefined> =>
      ifThere(`listing ${path}`, async () => (await guestfs.list(path)).sort()),

    writeFile: (path: string, content: Uint8Array, attributes: Required<FileAttributes>) =>
      must(`writing ${path}`, () =>
        replace(path, async (beside) => {
          await writeAll(beside, content)
          await changeOwner(beside, attributes)
          await guestfs.changeMode(attributes.mode, beside)
        }),
      ),

    makeDirectory: (path: string) => must(`making ${path}`, () => guestfs.makeDirectories(path)),

    setAttributes: (path: string, attributes: FileAttributes) =>
      must(`setting mode or owner of ${path}`, async () => {
        const { mode, uid, gid } = attributes
        if (uid !== undefined || gid !== undefined) await changeOwner(path, attributes)
        if (mode !== undefined) await guestfs.changeMode(mode, path)
      }),

    makeLink: (path: string, target: string) =>
      must(`linking ${path}`, () => replace(path, (beside) => guestfs.makeLink(target, beside))),

    /** libguestfs removes trees from outside the guest's root, so no link may be on the way there. */
    remove: async (path: string): Promise<void> => {
      const parent = await ifThere(`removing ${path}`, () => guestfs.realpath(posix.dirname(path)))
      if (parent === undefined) return
      await must(`removing ${path}`, () =>
        guestfs.removeTree(posix.join(parent, posix.basename(path))),
      )
    },
  }
}
