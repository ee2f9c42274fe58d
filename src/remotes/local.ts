/** This host, as root: what `--local` works on. */
import { randomBytes } from 'node:crypto'
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { hostname } from 'node:os'
import { posix } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Context } from '../base/context.ts'
import { asFileFailure, systemCode } from '../base/failure.ts'
import { runProcess } from '../base/process.ts'
import { readFileStat, unlessMissing } from './_host-files.ts'
import { plainEnvironment } from './plain-environment.ts'
import type { FileAttributes, RemoteDriver } from './remote.ts'

/** The operator's own umask and working directory must not show in what a recipe does. */
const LAUNCH = ['sh', '-c', 'umask 022; exec "$@"', 'sh']

export function openLocal(context: Context): RemoteDriver {
  return {
    name: hostname(),
    place: 'host',
    via: 'local',
    run: async (command) => {
      const result = await runProcess([...LAUNCH, ...command.argv], {
        cwd: '/',
        env: { ...plainEnvironment, ...command.env },
        input: command.input,
        timeoutMs: command.timeoutMs,
        signal: context.signal,
        onOutput: command.onOutput,
      })
      return {
        code: result.code,
        stdout: result.stdout.toString(),
        stderr: result.stderr.toString(),
      }
    },
    readFile: (path, limit) => ifThere(path, () => readFile(path, limit)),
    stat: (path) => ifThere(path, () => readFileStat(path)),
    list: (path) => ifThere(path, async () => (await readdir(path)).sort()),
    writeFile: (path, content, attributes) =>
      replace(path, async (beside) => {
        const file = await open(beside, 'wx', 0o600)
        try {
          await file.writeFile(content)
          await file.chown(attributes.uid, attributes.gid)
          await file.chmod(attributes.mode)
        } finally {
          await file.close()
        }
      }),
    makeDirectory: (path) => named(path, () => makeDirectory(path)),
    setAttributes: (path, attributes) => named(path, () => setAttributes(path, attributes)),
    makeLink: (path, target) => replace(path, (beside) => symlink(target, beside)),
    remove: (path) => named(path, () => rm(path, { recursive: true, force: true })),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function readFile(path: string, limit: number): Promise<Uint8Array | undefined> {
  if (!(await stat(path)).isFile()) return undefined
  const file = await open(path)
  return await buffer(file.createReadStream({ end: limit }))
}

/** One directory after the other, since what is there keeps its mode and the others get 0755. */
async function makeDirectory(path: string): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) return
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    await makeDirectory(posix.dirname(path))
  }
  await mkdir(path)
  await chmod(path, 0o755)
}

async function setAttributes(path: string, { mode, uid, gid }: FileAttributes): Promise<void> {
  const found = await lstat(path)
  if (uid !== undefined || gid !== undefined) await lchown(path, uid ?? found.uid, gid ?? found.gid)
  if (mode !== undefined) await chmod(path, mode)
}

/** Makes something under a name of its own beside `path`, then gives it that name. */
async function replace(path: string, make: (beside: string) => Promise<void>): Promise<void> {
  const name = `.ingot.${randomBytes(8).toString('hex')}`
  const beside = posix.join(posix.dirname(path), name)
  await named(path, async () => {
    try {
      await make(beside)
      await rename(beside, path)
    } catch (error) {
      await rm(beside, { force: true })
      throw error
    }
  })
}

async function ifThere<T>(path: string, look: () => Promise<T>): Promise<T | undefined> {
  return await named(path, () => unlessMissing(look))
}

/** System errors are those of this file, not of the way to it. */
async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw systemCode(error) === undefined ? error : asFileFailure(error, path)
  }
}
