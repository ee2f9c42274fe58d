import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openRemote } from './open-remote.ts'
import type { Remote, RemoteDriver } from './remote.ts'
import type { OpenUplink } from './uplink.ts'

/** The three ways into an image file. */
export type ImageVia = 'read' | 'appliance' | 'sandbox'

export interface ImageOptions {
  path: string
  /** What the image is called in reports and failures; the name of the file when left out. */
  name?: string
  /** Disk format of the file; found by our own parser when left out. */
  format?: 'raw' | 'qcow2'
  via: ImageVia
  /** `check`: the file is provably not written; what commands write is forgotten. */
  access: 'check' | 'change'
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  rootFileSystem?: string
  /** How commands in it get to the network; false: not at all. */
  network: false | OpenUplink
  accelerator: 'kvm' | 'tcg'
  tempDir: string
  cacheDir: string
}

/** Opens an image file as a place of work. The heavy parts are loaded only when they are used. */
export async function openImageRemote(options: ImageOptions, context: Context): Promise<Remote> {
  const { via, ...rest } = options
  return openRemote(await DRIVERS[via](rest, context), context)
}

/** The way for runs that need commands: this host itself only if it may and can. */
export function viaForCommands(trusted: boolean): ImageVia {
  return trusted && process.getuid?.() === 0 ? 'sandbox' : 'appliance'
}

/** The same way, if the image may be reached by it. Fails with NEEDS_TRUST. */
export function demandTrust(via: ImageVia, trusted: boolean): ImageVia {
  if (via === 'sandbox' && !trusted)
    throw new Failure(
      'NEEDS_TRUST',
      "the sandbox mounts the image with this host's kernel and runs its programs on it, which only a trusted image may have",
    )
  return via
}

/** How a user is told of a way into an image. */
export const WAYS: Readonly<Record<ImageVia, string>> = {
  read: 'by reading',
  sandbox: 'in the sandbox',
  appliance: 'in the appliance',
}

type Open = (options: Omit<ImageOptions, 'via'>, context: Context) => Promise<RemoteDriver>

const DRIVERS: Readonly<Record<ImageVia, Open>> = {
  read: async (...given) => (await import('./read-image.ts')).openReadImage(...given),
  appliance: async (...given) => (await import('./appliance.ts')).openAppliance(...given),
  sandbox: async (...given) => (await import('./sandbox.ts')).openSandbox(...given),
}
