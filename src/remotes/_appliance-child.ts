/**
 * The process behind an appliance: it holds one libguestfs handle, so that whatever blocks or
 * crashes there takes nothing with it. It ends with its parent, and QEMU with it.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { openImage, WORK_FORMATS, type WorkFormat } from '../formats/open-image.ts'
import { AGENT_LOG, AWAIT_AGENT, PORTS, portName, startAgent } from './_appliance-agent.ts'
import { type Commands, openCommands, openPorts } from './_appliance-commands.ts'
import { type ApplianceFiles, openApplianceFiles, toGuestFailure } from './_appliance-files.ts'
import { EXCLUDED_PATTERNS } from './archive.ts'
import { serveParent, tellParent } from './_child-calls.ts'
import { type Drive, type Guestfs, openGuestfs } from './_libguestfs.ts'
import { findRootByReading } from './_read-guest.ts'
import {
  type DiskFileSystem,
  findRoot,
  type GuestMount,
  type ReadTexts,
  surveyDisk,
} from './find-root.ts'
import type { Command, CommandResult, FileAttributes } from './remote.ts'

export interface LaunchOptions {
  drive: Drive
  accelerator: 'kvm' | 'tcg'
  network: boolean
  cpus: number
  /** Where libguestfs keeps its appliance between runs. */
  cacheDir: string
  /** A directory of this launch alone; it is removed at the end. */
  scratch: string
}

/** An image, as far as our own parsers see it. */
export interface Examination {
  format: WorkFormat
  fileSystems: readonly DiskFileSystem[]
  /** Undefined where reading cannot tell. */
  mounts: readonly GuestMount[] | undefined
}

/** Which guest: as failures name its image, and by which root if there is more than one. */
export interface Question {
  image: string
  named: string | undefined
}

export type ApplianceCalls = typeof calls

/** Less than this and package managers run out of memory. Source: libguestfs's own default since 1.48. */
const MIN_MEMORY_MIB = 1280
const MAX_TEXT = MiB
/** What QEMU never needs, should a guest take it over. Source: qemu(1). */
const CONFINED = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
/** What keeps our own readers from finding the root, but not the appliance. */
const READERS_LIMITS = ['FILE_SYSTEM_UNSUPPORTED', 'FILE_SYSTEM_DIRTY'] as const

let guestfs: Guestfs
let files: ApplianceFiles
let scratch: string | undefined
let network = false
let mountPoints: string[] = []
let commands: Promise<Commands> | undefined

const calls = {
  version: async (): Promise<string> => (await open()).version(),

  launch: async (options: LaunchOptions): Promise<void> => {
    scratch = options.scratch
    network = options.network
    guestfs = await open()
    files = openApplianceFiles(guestfs)
    try {
      await launch(guestfs, options)
    } catch (error) {
      throw new Failure('REMOTE_LOST', `the appliance did not start: ${messageOf(error)}`, {
        cause: error,
      })
    }
  },

  /** Our own parsers look first: libguestfs is never given what reaches for other files. */
  examine: async (
    path: string,
    format: WorkFormat | undefined,
    question: Question,
  ): Promise<Examination> => {
    await using image = await openImage(path, { format, among: WORK_FORMATS })
    const fileSystems = await surveyDisk(image.disk)
    const mounts = await findRootByReading(image.disk, question).catch((error: unknown) => {
      if (READERS_LIMITS.some((code) => isFailure(error, code))) return undefined
      throw error
    })
    return { format: image.format, fileSystems, mounts }
  },

  /** Mounts the guest as it mounts itself; the device of its root. */
  mount: async ({ fileSystems, mounts }: Examination, question: Question): Promise<string> => {
    const all = mounts ?? (await findRootInside(await seeAll(fileSystems), question))
    for (const { fileSystem, at, options } of all) {
      // As systemd does when it mounts. A file system in what is no directory is for the mount to tell of.
      if (at !== '/') await guestfs.makeDirectories(at).catch(() => {})
      await mount(fileSystem.device, at, options)
    }
    mountPoints = all.map(({ at }) => at)
    return all[0]?.fileSystem.device ?? ''
  },

  run: async (id: string, command: Omit<Command, 'onOutput'>): Promise<CommandResult> => {
    const ready = await (commands ??= startCommands())
    return await ready.run(command, (text) => tellParent('output', { id, text }))
  },

  readFile: (path: string, limit: number) => files.readFile(path, limit),
  stat: (path: string) => files.stat(path),
  list: (path: string) => files.list(path),
  writeFile: (path: string, content: Uint8Array, attributes: Required<FileAttributes>) =>
    files.writeFile(path, content, attributes),
  makeDirectory: (path: string) => files.makeDirectory(path),
  setAttributes: (path: string, attributes: FileAttributes) =>
    files.setAttributes(path, attributes),
  makeLink: (path: string, target: string) => files.makeLink(path, target),
  remove: (path: string) => files.remove(path),

  archive: async (file: string): Promise<void> => {
    try {
      await guestfs.archive('/', file, EXCLUDED_PATTERNS)
    } catch (error) {
      throw toGuestFailure(error, 'archiving its root')
    }
  },

  /** Ends what runs, gives unused blocks of an image that is kept back, unmounts, and ends QEMU. */
  finish: async (isKept: boolean): Promise<void> => {
    await endCommands()
    for (const at of isKept ? mountPoints : []) await guestfs.trim(at, null).catch(() => {}) // not all kinds can
    try {
      await guestfs.sync()
      await guestfs.unmountAll()
      await guestfs.shutdown()
    } catch (error) {
      throw toGuestFailure(error, 'writing everything back')
    }
  },
}

async function open(): Promise<Guestfs> {
  return await openGuestfs((text) => tellParent('message', text))
}

async function launch(guestfs: Guestfs, options: LaunchOptions): Promise<void> {
  await guestfs.setBackend('direct')
  await guestfs.setBackendSettings([`force_${options.accelerator}`, null])
  await guestfs.setCacheDirectory(options.cacheDir)
  await guestfs.setTemporaryDirectory(options.scratch)
  await guestfs.setMemory(Math.max(MIN_MEMORY_MIB, await guestfs.memory()))
  await guestfs.setCpus(options.cpus)
  await guestfs.setNetwork(options.network ? 1 : 0)
  await guestfs.addQemuArgument('-sandbox', CONFINED)
  for (const port of PORTS) {
    const path = join(options.scratch, port).replaceAll(',', ',,')
    await guestfs.addQemuArgument('-chardev', `socket,id=${port},path=${path},server=on,wait=off`)
    await guestfs.addQemuArgument(
      '-device',
      `virtserialport,chardev=${port},name=${portName(port)}`,
    )
  }
  await guestfs.addDrive(options.drive)
  await guestfs.launch()
}

/** The root, by mounting whatever may be one. What cannot be mounted is none, unless there is no other. */
async function findRootInside(
  fileSystems: readonly DiskFileSystem[],
  question: Question,
): Promise<GuestMount[]> {
  const troubles: unknown[] = []
  const readTexts: ReadTexts = async (fileSystem, paths) => {
    try {
      return await peek(fileSystem, paths)
    } catch (error) {
      troubles.push(error)
      return []
    }
  }
  try {
    return await findRoot(fileSystems, readTexts, question)
  } catch (error) {
    throw isFailure(error, 'NO_OPERATING_SYSTEM') ? (troubles[0] ?? error) : error
  }
}

/** File systems inside LVM and RAID too, which libguestfs has put together. */
async function seeAll(known: readonly DiskFileSystem[]): Promise<DiskFileSystem[]> {
  const all = [...known]
  const words = await guestfs.listFileSystems()
  for (let index = 0; index + 1 < words.length; index += 2) {
    const [device = '', type = ''] = words.slice(index, index + 2)
    if (device.startsWith('btrfsvol:') || known.some((one) => one.device === device)) continue
    const uuid = await guestfs.uuidOf(device).catch(() => '')
    const label = await guestfs.labelOf(device).catch(() => '')
    const place = { offset: undefined, length: undefined, partitionUuid: '', partitionLabel: '' }
    all.push({ device, type, uuid, label, ...place })
  }
  return all
}

/** Texts of a file system that is mounted only for this; undefined for each that is not there. */
async function peek(
  { device }: DiskFileSystem,
  paths: readonly string[],
): Promise<(string | undefined)[]> {
  await mount(device, '/', 'ro')
  try {
    const contents = await Promise.all(paths.map((path) => files.readFile(path, MAX_TEXT)))
    return contents.map((content) => content && Buffer.from(content).toString())
  } finally {
    await guestfs.unmountAll()
  }
}

async function mount(device: string, at: string, options: string | undefined): Promise<void> {
  try {
    await guestfs.mount(['noatime', ...(options ? [options] : [])].join(','), device, at)
  } catch (error) {
    throw new Failure(
      'FILE_SYSTEM_UNSUPPORTED',
      `${device} cannot be mounted at ${at} in the appliance: ${messageOf(error)}`,
      { details: { device, at }, cause: error },
    )
  }
}

async function startCommands(): Promise<Commands> {
  const ports = await openPorts(scratch ?? '')
  try {
    await guestfs.shell(startAgent(network))
    return await openCommands(ports)
  } catch (error) {
    const log = await guestfs.shell(AGENT_LOG).catch(() => '')
    throw new Failure('REMOTE_CANNOT', `no commands in the appliance: ${messageOf(error)}`, {
      details: { log },
      cause: error,
    })
  }
}

async function endCommands(): Promise<void> {
  const running = await commands?.catch(() => undefined)
  commands = undefined
  if (running === undefined) return
  running.quit()
  await guestfs.shell(AWAIT_AGENT)
}

/** QEMU and libguestfs's helpers are of this process's group; what they leave is removed here. */
async function endEverything(): Promise<void> {
  process.on('SIGTERM', () => {})
  process.kill(0, 'SIGTERM')
  await guestfs?.close()
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true })
}

serveParent<ApplianceCalls>(calls, endEverything)
