import { isFailure } from '../../base/failure.ts'
import { importImage } from '../builders/import.ts'
import type { Bodies, BodyFacts, StoredDisk } from '../engine/factory-parts.ts'
import type { Template } from '../template.ts'
import { describeBody, isComplete } from './_describe-body.ts'
import { fitImage } from './_fit-image.ts'
import { tellingBytes } from './_told.ts'
import { bodyOf, type BodyParts } from './body.ts'
import { openBody } from './open-body.ts'
import { openPushedDisk } from './open-pushed-disk.ts'
import { type ReadGuest, readPackagesOf } from './read-packages.ts'
import { removeBody, storeBody } from './store-body.ts'

export interface BodiesParts extends BodyParts {
  /** Fails with TEMPLATE_INVALID, RECIPE_INVALID. */
  readonly parseTemplate: (given: { readonly text: string }) => Promise<Template>
  /** For copies, if a guest has to be opened in the appliance; and for what is worth keeping between builds. Both exist. */
  readonly workDirectory: string
  readonly cacheDirectory: string
  /**
   * Whether this host mounts images that the factory made, and runs their programs, to fit them: quick, and as safe as
   * those who order builds can be trusted. Default no: they are opened in the appliance.
   */
  readonly trustsImages?: boolean
  /** Of Ingot. */
  readonly version: string
}

/** The bodies of factory images, as the engine asks for them. */
export function openBodies(parts: BodiesParts): Bodies {
  return {
    store: async (disk) => await storeDisk(parts, disk),
    fit: async (order) => await fitImage(parts, order),
    openDisk: async (image, signal) => {
      const name = image.name ?? image.id
      return await openPushedDisk(parts, bodyOf(image), { name, signal })
    },
    remove: async (imageId, signal) => await removeBody(parts, imageId, signal),
    importImage: async (order, imageId, signal) => {
      const reading = { workDir: parts.workDirectory, cacheDir: parts.cacheDirectory }
      return await importImage({ ...parts, ...reading }, { ...order, imageId }, signal)
    },
  }
}

async function storeDisk(parts: BodiesParts, disk: StoredDisk): Promise<BodyFacts> {
  const { imageId, name, path, format, requester, template, documents: given, job } = disk
  const { signal } = job.context
  const tell = tellingBytes('store', job.context)
  await storeBody(parts, { imageId, name, path, format, requester, signal, tell })
  if (isComplete(given)) return { bodyId: imageId, documents: given }
  await using body = await openBody(parts, imageId, signal)
  const { builder, target, parameters } = job.image
  const guest = await readGuest(parts, body, disk)
  const made = { madeBy: builder ?? target ?? 'factory', template, parameters, given }
  return await describeBody(
    parts,
    body,
    { ...guest, ...made, name, version: parts.version },
    signal,
  )
}

/** A disk that nobody can read is a disk all the same; only its documents are fewer. */
async function readGuest(
  parts: BodiesParts,
  body: Parameters<typeof readPackagesOf>[0],
  { job: { workDir, log, context } }: StoredDisk,
): Promise<ReadGuest | undefined> {
  try {
    const reading = { workDir, cacheDir: parts.cacheDirectory }
    return await readPackagesOf(body, reading, context)
  } catch (error) {
    if (!isFailure(error) || context.signal.aborted) throw error
    log.event(`what is in the disk is not told: ${error.message}`)
    return undefined
  }
}
