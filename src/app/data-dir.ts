import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { asFileFailure, Failure, isFailure, messageOf, systemCode } from '../base/failure.ts'

/** Makes the directory of data if it is not there. Fails with FILE_UNREADABLE, NO_SPACE. */
export async function makeDataDir(path: string): Promise<void> {
  try {
    await makeDirectory(resolve(path))
  } catch (error) {
    const failure = asFileFailure(error, path)
    if (!isFailure(failure) || failure.code === 'NO_SPACE') throw failure
    throw new Failure(
      'FILE_UNREADABLE',
      `no directory can be made at ${path}: ${messageOf(error)}`,
      {
        details: failure.details,
        cause: error,
        fix: 'Name another one with --data-dir, or data_dir of the configuration.',
      },
    )
  }
}

/** Node's own recursion says of a read-only file system that the path is not there, and on /proc it never ends. */
async function makeDirectory(path: string): Promise<void> {
  const make = async () =>
    await mkdir(path, { mode: 0o750 }).catch(async (error: unknown) => {
      if (systemCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
    })
  await make().catch(async (error: unknown) => {
    if (systemCode(error) !== 'ENOENT' || path === dirname(path)) throw error
    await makeDirectory(dirname(path))
    await make()
  })
}

/**
 * Holds the directory for this process alone among servers, until it is disposed of or the process ends, however
 * it ends: the lock is the kernel's, on a file that SQLite locks for us on every platform.
 * Fails with DATA_DIR_HELD, which names who has it; FILE_UNREADABLE.
 */
export async function holdDataDir(path: string): Promise<AsyncDisposable> {
  const note = join(path, 'server.pid')
  const lock = openLock(join(path, 'server.lock'))
  if (lock === undefined) {
    const pid = (await readFile(note, 'utf8').catch(() => '')).trim()
    const who = /^\d+$/.test(pid) ? ` (process ${pid})` : ''
    throw new Failure('DATA_DIR_HELD', `another server${who} holds ${path}`, {
      details: { path, pid },
    })
  }
  await writeFile(note, `${process.pid}\n`)
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(note, { force: true })
      lock.close()
    },
  }
}

function openLock(path: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(path)
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Error && /locked|busy/i.test(error.message)) return undefined
    throw asFileFailure(error, path)
  }
}

/**
 * What this node is called among servers of one database: a name of its own that it keeps in its directory, so that
 * after it died it knows which work was its own. Fails with FILE_UNREADABLE, NO_SPACE.
 */
export async function readNodeId(path: string, newId: () => string): Promise<string> {
  const file = join(path, 'node-id')
  const known = (await readFile(file, 'utf8').catch(() => '')).trim()
  if (/^[\w-]{8,64}$/.test(known)) return known
  const id = newId()
  await writeFile(file, `${id}\n`).catch((error: unknown) => {
    throw asFileFailure(error, file)
  })
  return id
}
