/**
 * Images through the appliance: libguestfs boots a small virtual machine of its own, in which the
 * image's file systems are mounted and its programs run. Nothing of the image touches this host:
 * the safe way for images that nobody vouches for.
 *
 * Only this file and the `_appliance` and `_libguestfs` files know libguestfs, which is an optional
 * package of the system.
 */
import { randomBytes } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { access, mkdir, open, readdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, isFailure, systemCode } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { defaultTempDir } from '../base/paths.ts'
import { findProgram } from '../base/process.ts'
import type { ImageFormat } from '../formats/open-image.ts'
import { PORTS } from './_appliance-agent.ts'
import type { ApplianceCalls } from './_appliance-child.ts'
import { type Child, openChild, siblingModule } from './_child-calls.ts'
import type { CommandResult, RemoteDriver } from './remote.ts'

export interface ApplianceOptions {
  path: string
  /** Disk format of the file; found by our own parser when left out. */
  format?: ImageFormat | undefined
  /** `check`: the file is not written; what commands write goes to a throw-away layer. */
  access: 'check' | 'change'
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  rootFileSystem?: string | undefined
  /** Whether commands may use this host's network, this host's own services included. Default no. */
  network?: boolean
  /** Default `tcg`, which works everywhere. */
  accelerator?: 'kvm' | 'tcg'
  /** Where the appliance itself is kept between runs (350 MiB). */
  cacheDir: string
  tempDir?: string
}

/** Emulated and on a busy host, starting may take long; on an idle one it takes 10 s. */
const LAUNCH_LIMIT_MS = 600_000
/** For a file, a mount, the end: an appliance that hangs must not hang its caller. */
const CALL_LIMIT_MS = 300_000
/** A command has its own limit, which the appliance keeps; its silence is noticed there. */
const NO_LIMIT = 2 ** 31 - 1
/** Longest path of a socket. Source: unix(7). */
const MAX_SOCKET_PATH = 107
const MAX_CPUS = 4

/**
 * Opens an image as a place of work.
 *
 * Fails with TOOL_MISSING; with IMAGE_NOT_FOUND, IMAGE_UNREADABLE, IMAGE_UNSAFE, IMAGE_TRUNCATED,
 * IMAGE_DIRTY, IMAGE_READ_ONLY, FILE_SYSTEM_ENCRYPTED, NO_OPERATING_SYSTEM,
 * SEVERAL_OPERATING_SYSTEMS; with FILE_SYSTEM_UNSUPPORTED when the appliance cannot mount one
 * either; with REMOTE_LOST when the appliance does not start or ends; with INTERRUPTED.
 */
export async function openAppliance(
  options: ApplianceOptions,
  context: Context,
): Promise<RemoteDriver> {
  const path = resolve(options.path)
  const readonly = options.access === 'check'
  if (!readonly) await checkWritable(path)
  const question = { image: basename(path), named: options.rootFileSystem }
  const scratch = await makeScratch(options.tempDir ?? defaultTempDir())
  const appliance = startAppliance(question.image, scratch, context)
  try {
    const { call } = appliance
    const examination = await call(CALL_LIMIT_MS, 'examine', path, options.format, question)
    await prepareCache(options.cacheDir, context)
    await call(LAUNCH_LIMIT_MS, 'launch', {
      drive: { path, format: examination.format, readonly, cache: 'unsafe' },
      ...launchSettings(options),
      scratch,
    })
    const rootFileSystem = await call(CALL_LIMIT_MS, 'mount', examination, question)
    return { ...appliance.driver(path, readonly), rootFileSystem }
  } catch (error) {
    await appliance.close()
    throw error
  }
}

/** Whether this host has what the appliance needs, for `ingot doctor`; if not, what it lacks. */
export async function checkAppliance(): Promise<{
  available: boolean
  version?: string
  missing?: string
}> {
  await using child = openApplianceChild('the appliance')
  try {
    const version = await child.callWithin(CALL_LIMIT_MS, 'version')
    const program = ['supermin', 'qemu-img'].find((name) => findProgram(name) === undefined)
    if (program !== undefined)
      return { available: false, version, missing: `${program} is not installed` }
    const unreadable = await findUnreadableKernel()
    return unreadable === undefined
      ? { available: true, version }
      : { available: false, version, missing: unreadable }
  } catch (error) {
    if (!isFailure(error, 'TOOL_MISSING')) throw error
    return { available: false, missing: error.message }
  }
}

/** The appliance boots a kernel of this host; some distributions let only root read it. */
async function findUnreadableKernel(): Promise<string | undefined> {
  const names = await readdir('/boot').catch(() => [])
  const kernels = names.filter((name) => /^(vmlinuz|vmlinux|Image)-/.test(name))
  const fedoras = await readdir('/lib/modules').catch(() => [])
  const paths = [
    ...kernels.map((name) => join('/boot', name)),
    ...fedoras.map((name) => join('/lib/modules', name, 'vmlinuz')).filter(existsSync),
  ]
  for (const path of paths)
    if (
      await access(path, constants.R_OK).then(
        () => true,
        () => false,
      )
    )
      return undefined
  return paths.length === 0
    ? 'there is no kernel in /boot for it to boot'
    : `${paths[0]} cannot be read: chmod +r it, or run as root`
}

function openApplianceChild(
  title: string,
  onEvent: (event: string, data: unknown) => void = () => {},
): Child<ApplianceCalls> {
  return openChild<ApplianceCalls>(siblingModule('_appliance-child', import.meta.url), {
    title,
    env: { UV_THREADPOOL_SIZE: '1' }, // see _libguestfs.ts
    onEvent,
  })
}

/** The process behind an appliance; it ends when `context` is aborted. */
function startAppliance(name: string, scratch: string, context: Context) {
  const listeners = new Map<string, (text: string) => void>()
  const child = openApplianceChild(`the appliance of ${name}`, (event, data) => {
    const { id, text } = data as { id: string; text: string }
    if (event === 'output') listeners.get(id)?.(text)
  })
  const onAbort = () => void child.close()
  context.signal.addEventListener('abort', onAbort, { once: true })

  const close = async () => {
    context.signal.removeEventListener('abort', onAbort)
    await child.close()
    await rm(scratch, { recursive: true, force: true })
  }

  /** A call, whose failure says what the user did or the appliance said last. */
  const call: Child<ApplianceCalls>['callWithin'] = async (limitMs, what, ...args) => {
    try {
      return await child.callWithin(limitMs, what, ...args)
    } catch (error) {
      if (context.signal.aborted)
        throw new Failure('INTERRUPTED', `${name} was interrupted`, { cause: error })
      if (!isFailure(error, 'REMOTE_LOST')) throw error
      const details = { ...error.details, messages: child.messages() }
      throw new Failure('REMOTE_LOST', error.message, { details, cause: error })
    }
  }

  const driver = (path: string, readonly: boolean): RemoteDriver => {
    let finished = readonly // there is nothing to finish
    const finish = async () => {
      if (finished) return
      finished = true
      await call(CALL_LIMIT_MS, 'finish')
      await using file = await open(path, 'r+')
      await file.sync()
    }
    return {
      name,
      place: 'image',
      via: 'appliance',
      run: async ({ onOutput, ...command }): Promise<CommandResult> => {
        const id = context.newId()
        if (onOutput) listeners.set(id, onOutput)
        try {
          return await call(NO_LIMIT, 'run', id, command)
        } finally {
          listeners.delete(id)
        }
      },
      readFile: (path, limit) => call(CALL_LIMIT_MS, 'readFile', path, limit),
      stat: (path) => call(CALL_LIMIT_MS, 'stat', path),
      list: (path) => call(CALL_LIMIT_MS, 'list', path),
      writeFile: (path, content, attributes) =>
        call(CALL_LIMIT_MS, 'writeFile', path, content, attributes),
      makeDirectory: (path) => call(CALL_LIMIT_MS, 'makeDirectory', path),
      setAttributes: (path, attributes) => call(CALL_LIMIT_MS, 'setAttributes', path, attributes),
      makeLink: (path, target) => call(CALL_LIMIT_MS, 'makeLink', path, target),
      remove: (path) => call(CALL_LIMIT_MS, 'remove', path),
      finish,
      [Symbol.asyncDispose]: async () => {
        // An image that is not to be kept is still left with its file systems clean.
        if (!context.signal.aborted) await finish().catch(() => {})
        await close()
      },
    }
  }
  return { call, close, driver }
}

/** A directory of this launch alone; those of dead processes are removed. */
async function makeScratch(tempDir: string): Promise<string> {
  const label = randomBytes(4).toString('hex')
  const longest = Math.max(...PORTS.map((port) => port.length))
  const inside = (directory: string) => workingPath(join(directory, 'appliance'), label)
  const fits = inside(tempDir).length + 1 + longest <= MAX_SOCKET_PATH
  const directory = fits ? tempDir : defaultTempDir()
  try {
    await mkdir(directory, { recursive: true })
    await removeLeftovers(join(directory, 'appliance'))
    await mkdir(inside(directory), { mode: 0o700 })
    return inside(directory)
  } catch (error) {
    throw asFileFailure(error, directory)
  }
}

async function checkWritable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return // our own parser says so in the same words as ever
    throw new Failure('IMAGE_READ_ONLY', `${path} cannot be written`, {
      details: { path },
      cause: error,
    })
  }
}

function launchSettings(options: ApplianceOptions) {
  const { accelerator = 'tcg', network = false, cacheDir } = options
  return {
    accelerator,
    network,
    // Emulated, a second processor costs more than it brings: measured.
    cpus: accelerator === 'kvm' ? Math.min(MAX_CPUS, availableParallelism()) : 1,
    cacheDir: join(resolve(cacheDir), 'appliance'),
  }
}

async function prepareCache(cacheDir: string, context: Context): Promise<void> {
  const directory = join(cacheDir, 'appliance')
  const built = existsSync(join(directory, `.guestfs-${process.getuid?.() ?? 0}`))
  const detail = built ? 'start the appliance' : 'build the appliance (only once) and start it'
  context.progress({ kind: 'phase', name: 'appliance', detail })
  try {
    await mkdir(directory, { recursive: true })
  } catch (error) {
    throw asFileFailure(error, directory)
  }
}
