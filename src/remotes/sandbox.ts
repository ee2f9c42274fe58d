/**
 * Images through a sandbox on this host: loop mount and bubblewrap, in namespaces of their own. Many
 * times faster than the appliance, but this host's kernel mounts the image's file systems and runs
 * its programs: for images that Ingot made or that the user vouches for.
 */
import { mkdir, rm } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { findProgram } from '../base/process.ts'
import { windowOf } from '../bytes/source.ts'
import { openExt } from '../formats/ext.ts'
import { openImage, WORK_FORMATS, type WorkFormat } from '../formats/open-image.ts'
import { type Child, openChild, siblingModule } from './_child-calls.ts'
import type { Mount } from './_mount-image.ts'
import type { TreeCalls } from './_tree-child.ts'
import { type DiskFileSystem, findRoot, type ReadTexts, surveyDisk } from './find-root.ts'
import type { CommandResult, RemoteDriver } from './remote.ts'
import type { OpenUplink } from './uplink.ts'

const NAMESPACES = [
  'unshare',
  '--mount',
  '--propagation',
  'private',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--',
]

export interface TreeOptions {
  /** The directory that is the guest's root. */
  root: string
  /** Writes go to memory and are forgotten. */
  readOnly?: boolean
  /** How commands get to the network; false: not at all. */
  network: false | OpenUplink
  /** A directory for mount points; it can be removed when the remote is closed. */
  scratch: string
  /** Words that enter the user namespace in which the tree's owners are known; none as root. */
  userNamespace?: readonly string[]
  /** More words in front of the process behind the sandbox. */
  launcher?: readonly string[]
}

/** A guest whose root is a directory. Fails with TOOL_MISSING, REMOTE_LOST. */
export async function openTree(options: TreeOptions, context: Context): Promise<RemoteDriver> {
  const { root, readOnly = false, network, scratch } = options
  const name = basename(root)
  const child = await openTreeChild(`the sandbox of ${name}`, options, context)
  return await openAttached(child, name, async () => {
    const source = { directory: root }
    await child.calls.call('attach', { source, readOnly, network: network !== false, scratch })
    return {}
  })
}

export interface SandboxOptions {
  path: string
  /** What the image is called in failures; the name of the file when left out. */
  name?: string
  format?: WorkFormat
  access: 'check' | 'change'
  rootFileSystem?: string
  network: false | OpenUplink
  tempDir: string
}

/**
 * An image file, its file systems mounted by this host's kernel. For `check` the file is opened
 * read-only and writes go to memory.
 * Fails with NEEDS_ROOT, TOOL_MISSING, FILE_SYSTEM_UNSUPPORTED, FILE_SYSTEM_DIRTY, and as `openImage`
 * and `findRoot`.
 */
export async function openSandbox(
  options: SandboxOptions,
  context: Context,
): Promise<RemoteDriver> {
  const { path, access, network, tempDir, rootFileSystem } = options
  const { name = basename(path) } = options
  if (process.geteuid?.() !== 0)
    throw new Failure('NEEDS_ROOT', 'the sandbox mounts the image, which only root may do', {
      fix: 'Run it as root, or use --via appliance.',
    })
  const readOnly = access === 'check'
  const { format, fileSystems, dirty } = await survey(options)
  await removeLeftovers(join(tempDir, 'sandbox'))
  const scratch = workingPath(join(tempDir, 'sandbox'), `scratch-${context.newId()}`)
  await mkdir(scratch, { mode: 0o700 })
  const removeScratch = async (error: unknown) => {
    await rm(scratch, { recursive: true, force: true })
    throw error
  }
  const title = `the sandbox of ${name}`
  const child = await openTreeChild(title, { network }, context).catch(removeScratch)
  const driver = await openAttached(child, name, async () => {
    const absolute = resolve(path)
    const image =
      format === 'qcow2'
        ? await child.calls.call('exportQcow2', absolute, scratch, readOnly)
        : absolute
    const readTexts: ReadTexts = (fileSystem, paths) =>
      child.calls.call('peek', image, toMount('/', fileSystem), paths, scratch)
    const found = await findRoot(fileSystems, readTexts, { image: name, named: rootFileSystem })
    // A journal cannot be replayed without a write; what is seen without it may be of long ago.
    for (const { fileSystem } of found)
      if (readOnly && dirty.has(fileSystem.device)) throw dirty.get(fileSystem.device)
    const mounts = found.map(({ at, fileSystem, options }) => toMount(at, fileSystem, options))
    await child.calls.call('attach', {
      source: { image, mounts },
      readOnly,
      network: network !== false,
      scratch,
    })
    return { rootFileSystem: found[0]?.fileSystem.device ?? '' }
  }).catch(removeScratch)
  return {
    ...driver,
    [Symbol.asyncDispose]: async () => {
      await driver[Symbol.asyncDispose]()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

interface Survey {
  format: WorkFormat
  fileSystems: DiskFileSystem[]
  /** Why the files of some file systems may not be what they seem, by device. */
  dirty: Map<string, Failure>
}

/** What our own parser sees before this host's kernel sees anything. */
async function survey({ path, format }: SandboxOptions): Promise<Survey> {
  await using image = await openImage(path, { format, among: WORK_FORMATS })
  const fileSystems = await surveyDisk(image.disk)
  const dirty = new Map<string, Failure>()
  for (const { device, offset, length, type } of fileSystems)
    if (type.startsWith('ext') && offset !== undefined && length !== undefined)
      await openExt(windowOf(image.disk, offset, length, device)).catch((error: unknown) => {
        if (isFailure(error, 'FILE_SYSTEM_DIRTY')) dirty.set(device, error)
        // Anything else is for the kernel to judge: the image is trusted.
      })
  return { format: image.format, fileSystems, dirty }
}

function toMount(at: string, fileSystem: DiskFileSystem, options?: string): Mount {
  const { device, offset, length, type } = fileSystem
  if (offset === undefined || length === undefined)
    throw new Failure(
      'FILE_SYSTEM_UNSUPPORTED',
      `${device} is inside a volume group, which the sandbox does not open`,
    )
  return { at, offset, size: length, type, ...(options === undefined ? {} : { options }) }
}

interface TreeChild {
  calls: Child<TreeCalls>
  driver(name: string, rootFileSystem: string | undefined): RemoteDriver
}

/** Finishes opening; a child that could not be made ready is closed. */
async function openAttached(
  child: TreeChild,
  name: string,
  attach: () => Promise<{ rootFileSystem?: string }>,
): Promise<RemoteDriver> {
  try {
    const { rootFileSystem } = await attach()
    return child.driver(name, rootFileSystem)
  } catch (error) {
    await child.calls.close()
    throw error
  }
}

/** Starts the process behind a sandbox, in the network of its guest; it ends when `context` is aborted. */
async function openTreeChild(
  title: string,
  {
    network,
    userNamespace = [],
    launcher = [],
  }: Pick<TreeOptions, 'network' | 'userNamespace' | 'launcher'>,
  context: Context,
): Promise<TreeChild> {
  for (const program of ['bwrap', 'unshare', 'mount'])
    if (findProgram(program) === undefined)
      throw new Failure('TOOL_MISSING', `the sandbox needs '${program}'`, {
        fix: 'Install bubblewrap and util-linux (Debian: apt-get install bubblewrap util-linux).',
      })
  const uplink = network === false ? undefined : await network(userNamespace, context)
  const listeners = new Map<string, (text: string) => void>()
  const child = openChild<TreeCalls>(siblingModule('_tree-child', import.meta.url), {
    title,
    launcher: [...(uplink?.launcher ?? userNamespace), ...launcher, ...NAMESPACES],
    onEvent: (event, data) => {
      if (event === 'unmountable')
        context.log.info('sandbox.unmountable', data as Record<string, unknown>)
      if (event !== 'output') return
      const { id, text } = data as { id: string; text: string }
      listeners.get(id)?.(text)
    },
  })
  const close = async () => {
    await child.close()
    await uplink?.[Symbol.asyncDispose]()
  }
  const calls = { ...child, close }
  const onAbort = () => void close()
  context.signal.addEventListener('abort', onAbort, { once: true })
  const driver = (name: string, rootFileSystem: string | undefined): RemoteDriver => ({
    name,
    place: 'image',
    via: 'sandbox',
    ...(rootFileSystem === undefined ? {} : { rootFileSystem }),
    run: async ({ onOutput, ...command }): Promise<CommandResult> => {
      const id = context.newId()
      if (onOutput) listeners.set(id, onOutput)
      try {
        return await calls.call('run', id, command)
      } finally {
        listeners.delete(id)
      }
    },
    readFile: (path, limit) => calls.call('readFile', path, limit),
    stat: (path) => calls.call('stat', path),
    list: (path) => calls.call('list', path),
    writeFile: (path, content, attributes) => calls.call('writeFile', path, content, attributes),
    makeDirectory: (path) => calls.call('makeDirectory', path),
    setAttributes: (path, attributes) => calls.call('setAttributes', path, attributes),
    makeLink: (path, target) => calls.call('makeLink', path, target),
    remove: (path) => calls.call('remove', path),
    archive: (file) => calls.call('archive', resolve(file)),
    finish: () => calls.call('finish'),
    [Symbol.asyncDispose]: async () => {
      context.signal.removeEventListener('abort', onAbort)
      await calls.close()
    },
  })
  return { calls, driver }
}
