import type { Context } from '../base/context.ts'
import { openRemote } from './open-remote.ts'
import type { Remote, RemoteDriver } from './remote.ts'

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
  network: boolean
  accelerator: 'kvm' | 'tcg'
  tempDir: string
  cacheDir: string
}

/** Opens an image file as a place of work. The heavy parts are loaded only when they are used. */
export async function openImageRemote(options: ImageOptions, context: Context): Promise<Remote> {
  const { via, name, ...rest } = options
  const driver = await openDriver(via, rest, context)
  return openRemote(name === undefined ? driver : { ...driver, name }, context)
}

async function openDriver(
  via: ImageVia,
  options: Omit<ImageOptions, 'via' | 'name'>,
  context: Context,
): Promise<RemoteDriver> {
  switch (via) {
    case 'read': {
      const { openReadImage } = await import('./read-image.ts')
      return await openReadImage(options, context)
    }
    case 'appliance': {
      const { openAppliance } = await import('./appliance.ts')
      return await openAppliance(options, context)
    }
    case 'sandbox': {
      const { openSandbox } = await import('./sandbox.ts')
      return await openSandbox(options, context)
    }
  }
}
