/**
 * Images through a sandbox on this host: loop mount and bubblewrap, in namespaces of their own. Many
 * times faster than the appliance, but this host's kernel mounts the image's file systems and runs
 * its programs: for images that Ingot made or that the user vouches for.
 */
import { basename } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { findProgram } from '../base/process.ts'
import { type Child, openChild, siblingModule } from './_child-calls.ts'
import type { TreeCalls } from './_tree-child.ts'
import type { CommandResult, RemoteDriver } from './remote.ts'

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
  /** Whether commands may use this host's network. */
  network: boolean
  /** A directory for mount points; it can be removed when the remote is closed. */
  scratch: string
  /** Words that enter the user namespace in which the tree's owners are known; none as root. */
  launcher?: readonly string[]
}

/** A guest whose root is a directory. Fails with TOOL_MISSING, REMOTE_LOST. */
export async function openTree(options: TreeOptions, context: Context): Promise<RemoteDriver> {
  const { root, readOnly = false, network, scratch } = options
  const name = basename(root)
  const child = openTreeChild(`the sandbox of ${name}`, options.launcher ?? [], context)
  return await openAttached(child, name, async () => {
    await child.calls.call('attach', { source: { directory: root }, readOnly, network, scratch })
    return {}
  })
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

/** Starts the process behind a sandbox; it ends when `context` is aborted. */
function openTreeChild(title: string, launcher: readonly string[], context: Context): TreeChild {
  for (const program of ['bwrap', 'unshare', 'mount'])
    if (findProgram(program) === undefined)
      throw new Failure('TOOL_MISSING', `the sandbox needs '${program}'`, {
        fix: 'Install bubblewrap and util-linux (Debian: apt-get install bubblewrap util-linux).',
      })
  const listeners = new Map<string, (text: string) => void>()
  const calls = openChild<TreeCalls>(siblingModule('_tree-child', import.meta.url), {
    title,
    launcher: [...launcher, ...NAMESPACES],
    onEvent: (event, data) => {
      const { id, text } = data as { id: string; text: string }
      if (event === 'output') listeners.get(id)?.(text)
    },
  })
  const onAbort = () => void calls.close()
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
    finish: () => calls.call('finish'),
    [Symbol.asyncDispose]: async () => {
      context.signal.removeEventListener('abort', onAbort)
      await calls.close()
    },
  })
  return { calls, driver }
}
