import type { Context } from '../base/context.ts'
import { openRemote } from './open-remote.ts'
import type { Remote } from './remote.ts'

/** The three ways into an image file. */
export type ImageVia = 'read' | 'appliance' | 'sandbox'

export interface ImageOptions {
  path: string
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
  const { via, ...rest } = options
  switch (via) {
    case 'read': {
      const { openReadImage } = await import('./read-image.ts')
      return openRemote(await openReadImage(rest, context), context)
    }
    case 'appliance': {
      const { openAppliance } = await import('./appliance.ts')
      return openRemote(await openAppliance(rest, context), context)
    }
    case 'sandbox': {
      const { openSandbox } = await import('./sandbox.ts')
      return openRemote(await openSandbox(rest, context), context)
    }
  }
}
