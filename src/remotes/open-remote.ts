/**
 * The gate in front of every remote driver: it checks paths and bounds, stops when the caller says
 * stop, fills in what a driver leaves out, and names the remote in every failure.
 */
import { posix } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import * as byCommand from './_by-command.ts'
import { type Facts, toArchitecture, toFacts } from './facts.ts'
import type {
  Command,
  CommandResult,
  FileAttributes,
  FileStat,
  Remote,
  RemoteDriver,
} from './remote.ts'

const DEFAULT_READ_LIMIT = 64 * MiB
const MAX_LINKS = 40

/** A remote out of a driver. Closing the remote closes the driver. */
export function openRemote(driver: RemoteDriver, context: Context): Remote {
  let facts: Promise<Facts> | undefined
  let closed: Promise<void> | undefined

  const cannot = (what: string) =>
    new Failure('REMOTE_CANNOT', `${driver.name}: ${what} is not possible by ${driver.via}`, {
      details: { via: driver.via },
    })

  const guard = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', `${driver.name}: ${what} was not started: interrupted`)
    if (closed) throw new Failure('REMOTE_LOST', `${driver.name}: ${what}: it is closed`)
    try {
      return await work()
    } catch (error) {
      // A driver that is told to stop may just see its place of work go away.
      if (context.signal.aborted && !isFailure(error, 'INTERRUPTED'))
        throw new Failure('INTERRUPTED', `${driver.name}: ${what} was interrupted`, {
          cause: error,
        })
      if (error instanceof Failure) throw error
      throw new Failure('REMOTE_LOST', `${driver.name}: ${what}: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  const run = (command: Command): Promise<CommandResult> =>
    guard(`running ${command.argv[0]}`, async () => {
      if (!driver.run) throw cannot(`running a command (${command.argv[0]})`)
      checkCommand(command)
      context.log.debug('remote.run', { remote: driver.name, argv: command.argv })
      return await driver.run(command)
    })

  const stat = (path: string): Promise<FileStat | undefined> =>
    guard(`looking at ${path}`, async () => {
      const at = checkPath(path)
      return driver.stat ? await driver.stat(at) : await byCommand.statByCommand(run, at)
    })

  const readFile = (path: string, limit = DEFAULT_READ_LIMIT): Promise<Uint8Array | undefined> =>
    guard(`reading ${path}`, async () => {
      const at = checkPath(path)
      const content = driver.readFile
        ? await driver.readFile(at, limit)
        : await byCommand.readFileByCommand(run, at, limit)
      if (content !== undefined && content.length > limit)
        throw new Failure(
          'REMOTE_CANNOT',
          `${driver.name}: ${path} is larger than the ${limit} bytes that were expected at most`,
        )
      return content
    })

  const readText = async (path: string, limit?: number): Promise<string | undefined> => {
    const content = await readFile(path, limit)
    return content === undefined ? undefined : Buffer.from(content).toString()
  }

  const exists = async (path: string): Promise<boolean> => {
    let at = path
    for (let links = 0; links < MAX_LINKS; links++) {
      const found = await stat(at)
      if (found?.type !== 'link') return found !== undefined
      at = posix.resolve(posix.dirname(at), found.target ?? '')
    }
    return false
  }

  const makeDirectory = (path: string): Promise<void> =>
    guard(`making ${path}`, async () => {
      const at = checkPath(path)
      await (driver.makeDirectory
        ? driver.makeDirectory(at)
        : byCommand.makeDirectoryByCommand(run, at))
    })

  const readArchitecture = async (): Promise<string> => {
    if (driver.place === 'host') return (await run({ argv: ['uname', '-m'] })).stdout.trim()
    for (const program of ['/bin/sh', '/usr/bin/bash', '/usr/bin/env', '/sbin/init']) {
      const found = toArchitecture(
        (await readFile(program).catch(() => undefined)) ?? new Uint8Array(),
      )
      if (found !== '') return found
    }
    return ''
  }

  const readFacts = async (): Promise<Facts> => {
    const osRelease =
      (await readText('/etc/os-release', MiB)) ?? (await readText('/usr/lib/os-release', MiB))
    if (osRelease === undefined)
      throw new Failure(
        'NO_OPERATING_SYSTEM',
        `${driver.name} has neither /etc/os-release nor /usr/lib/os-release`,
      )
    return toFacts(osRelease, await readArchitecture())
  }

  return {
    name: driver.name,
    place: driver.place,
    via: driver.via,
    rootFileSystem: driver.rootFileSystem,
    uplink: driver.uplink,
    can: {
      run: driver.run !== undefined,
      write: driver.run !== undefined || driver.writeFile !== undefined,
    },
    facts: () => (facts ??= readFacts()),
    run,
    runOk: async (command) => {
      const result = await run(command)
      if (result.code === 0) return result.stdout
      const output = (result.stderr.trim() || result.stdout.trim())
        .split('\n')
        .slice(-20)
        .join('\n')
      const isFull = /No space left on device/.test(output)
      throw new Failure(
        isFull ? 'NO_SPACE' : 'COMMAND_FAILED',
        `${driver.name}: ${command.argv[0]} ended with ${result.code}: ${output.split('\n').at(-1) || 'no output'}`,
        {
          details: { code: result.code, output },
          ...(isFull && { fix: 'Give the guest a larger disk.' }),
        },
      )
    },
    readFile,
    readText,
    stat,
    exists,
    list: (path) =>
      guard(`listing ${path}`, async () => {
        const at = checkPath(path)
        return driver.list ? await driver.list(at) : await byCommand.listByCommand(run, at)
      }),
    writeFile: async (path, content, attributes = {}) => {
      const at = checkPath(path)
      const parent = posix.dirname(at)
      if (!(await exists(parent))) await makeDirectory(parent)
      await guard(`writing ${path}`, async () => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content
        const full = {
          mode: attributes.mode ?? 0o644,
          uid: attributes.uid ?? 0,
          gid: attributes.gid ?? 0,
        }
        await (driver.writeFile
          ? driver.writeFile(at, bytes, full)
          : byCommand.writeFileByCommand(run, at, bytes, full))
      })
    },
    makeDirectory,
    setAttributes: (path, attributes: FileAttributes) =>
      guard(`setting mode or owner of ${path}`, async () => {
        const at = checkPath(path)
        await (driver.setAttributes
          ? driver.setAttributes(at, attributes)
          : byCommand.setAttributesByCommand(run, at, attributes))
      }),
    makeLink: (path, target) =>
      guard(`linking ${path}`, async () => {
        const at = checkPath(path)
        await (driver.makeLink
          ? driver.makeLink(at, target)
          : byCommand.makeLinkByCommand(run, at, target))
      }),
    remove: (path) =>
      guard(`removing ${path}`, async () => {
        const at = checkPath(path)
        if (at === '/') throw new Failure('REMOTE_CANNOT', `${driver.name}: refusing to remove /`)
        await (driver.remove ? driver.remove(at) : byCommand.removeByCommand(run, at))
      }),
    archive: (file) =>
      guard('archiving its root', async () => {
        if (!driver.archive) throw cannot('archiving its root')
        await driver.archive(file)
      }),
    finish: () => guard('finishing', async () => await driver.finish?.()),
    [Symbol.asyncDispose]: () => (closed ??= Promise.resolve(driver[Symbol.asyncDispose]())),
  }
}

/** Words and variables that every place can take, whatever carries them there. */
function checkCommand(command: Command): void {
  const env = Object.entries(command.env ?? {})
  if ([...command.argv, ...env.flat()].some((word) => word.includes('\0')))
    throw new Failure('REMOTE_CANNOT', `a word or variable of ${command.argv[0]} holds a NUL byte`)
  for (const [name] of env)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new Failure('REMOTE_CANNOT', `'${name}' cannot be the name of an environment variable`)
}

/** An absolute, normal path of the guest. */
function checkPath(path: string): string {
  if (!path.startsWith('/') || path.includes('\0'))
    throw new Failure('REMOTE_CANNOT', `'${path}' is not an absolute path`)
  return posix.normalize(path).replace(/(.)\/$/, '$1')
}
