/**
 * Images through the appliance: libguestfs boots a small virtual machine of its own, in which the
 * image's file systems are mounted and its programs run. Nothing of the image touches this host:
 * the safe way for images that nobody vouches for.
 *
 * Only this file and the `_appliance` and `_libguestfs` files know libguestfs, which is an optional
 * package of the system.
 */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync } from 'node:fs'
import { access, mkdir, readdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, isFailure, systemCode } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { defaultTempDir } from '../base/paths.ts'
import { findProgram } from '../base/process.ts'
import type { WorkFormat } from '../formats/open-image.ts'
import { PORTS } from './_appliance-agent.ts'
import { openApplianceChild, startAppliance } from './_appliance-process.ts'
import type { RemoteDriver } from './remote.ts'
import type { OpenUplink } from './uplink.ts'

export interface ApplianceOptions {
  path: string
  /** What the image is called in failures; the name of the file when left out. */
  name?: string
  /** Disk format of the file; found by our own parser when left out. */
  format?: WorkFormat | undefined
  /** `check`: the file is not written; what commands write goes to a throw-away layer. */
  access: 'check' | 'change'
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  rootFileSystem?: string | undefined
  /** How commands get to the network. Default: not at all. */
  network?: false | OpenUplink
  /** Default `tcg`, which works everywhere. */
  accelerator?: 'kvm' | 'tcg'
  /** Where the appliance itself is kept between runs (350 MiB). */
  cacheDir: string
  tempDir?: string
}

/** Emulated and on a busy host, starting may take long; on an idle one it takes 10 s. */
const LAUNCH_LIMIT_MS = 600_000
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
  const question = { image: options.name ?? basename(path), named: options.rootFileSystem }
  const scratch = await makeScratch(options.tempDir ?? defaultTempDir())
  const { network = false } = options
  await using opening = new AsyncDisposableStack()
  opening.defer(() => rm(scratch, { recursive: true, force: true }))
  const uplink = network === false ? undefined : opening.use(await network([], context))
  const appliance = startAppliance(question.image, scratch, uplink, context)
  opening.move()
  const { ask, child } = appliance
  try {
    const examination = await ask(child.call('examine', path, options.format, question))
    await prepareCache(options.cacheDir, context)
    const { format } = examination
    // What the guest wants on the disk at once may wait for the end, where it is seen to.
    const drive = { path, format, readonly, cache: 'unsafe' } as const
    const launch = { drive, ...launchSettings(options), scratch }
    await ask(child.callWithin(LAUNCH_LIMIT_MS, 'launch', launch))
    const rootFileSystem = await ask(child.call('mount', examination, question))
    const driver = { ...appliance.driver(path, readonly), rootFileSystem }
    return network === false ? driver : { ...driver, uplink: network }
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
    const version = await child.call('version')
    const program = ['supermin', 'qemu-img'].find((name) => findProgram(name) === undefined)
    const missing =
      program === undefined ? await findKernelTrouble() : `${program} is not installed`
    return missing === undefined
      ? { available: true, version }
      : { available: false, version, missing }
  } catch (error) {
    if (!isFailure(error, 'TOOL_MISSING')) throw error
    return { available: false, missing: error.message }
  }
}

/** The appliance boots a kernel of this host; some distributions let only root read it. */
async function findKernelTrouble(): Promise<string | undefined> {
  const names = await readdir('/boot').catch(() => [])
  const modules = await readdir('/lib/modules').catch(() => [])
  const kernels = [
    ...names
      .filter((name) => /^(vmlinuz|vmlinux|Image)-/.test(name))
      .map((name) => `/boot/${name}`),
    ...modules.map((name) => `/lib/modules/${name}/vmlinuz`).filter((path) => existsSync(path)),
  ]
  if (kernels.length === 0) return 'there is no kernel in /boot for it to boot'
  return kernels.some(isReadable)
    ? undefined
    : `${kernels[0]} cannot be read: chmod +r it, or run as root`
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
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
    network: network !== false,
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
