/**
 * A VHD as a page blob. Pages that are not written read as zeros, so holes are not sent.
 * Source: Azure Storage, "Understanding block blobs, append blobs, and page blobs"; Put Page takes 4 MiB at most.
 */
import { createHash } from 'node:crypto'
import type { ContainerClient, PageBlobClient } from '@azure/storage-blob'
import { Failure, isFailure } from '../../base/failure.ts'
import { inLanes } from '../../base/in-lanes.ts'
import { MiB } from '../../base/units.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { asking } from './_azure-clients.ts'
import { cutParts, extentsOf, lengthOfParts } from './_disk-parts.ts'

const MOST = 4 * MiB

/** The name of the metadata that says for which image a blob was made. */
const MAKER = 'ingotimage'

export interface NewBlob {
  readonly name: string
  /** For whom it is made. */
  readonly imageId: string
  readonly disk: FormattedDisk
  /** Pages on their way at a time. */
  readonly lanes: number
}

/**
 * Writes the disk; how many bytes were sent. The extents begin and end at sectors, as page blobs want it. Fails with CLOUD_FAILED
 * when somebody else's blob has the name.
 */
export async function writePageBlob(
  container: ContainerClient,
  { name, imageId, disk, lanes }: NewBlob,
  { signal: abortSignal, tell }: PhaseScene,
): Promise<number> {
  const blob = container.getPageBlobClient(name)
  await createBlob(blob, disk.size, imageId, abortSignal)
  const extents = extentsOf(disk)
  const total = lengthOfParts(extents)
  let sent = 0
  await inLanes(cutParts(extents, MOST), lanes, async ({ start, end }) => {
    const bytes = await disk.read(start, end - start)
    const transactionalContentMD5 = createHash('md5').update(bytes).digest()
    const pages = blob.uploadPages(bytes, start, bytes.length, {
      abortSignal,
      transactionalContentMD5,
    })
    await asking(`bytes ${start} to ${end} of ${name}`, pages)
    sent += bytes.length
    tell(sent / total)
  })
  return sent
}

async function createBlob(
  blob: PageBlobClient,
  size: number,
  imageId: string,
  abortSignal: AbortSignal,
): Promise<void> {
  const ours = { metadata: { [MAKER]: imageId }, conditions: { ifNoneMatch: '*' } }
  try {
    await asking(`blob ${blob.name}`, blob.create(size, { ...ours, abortSignal }))
  } catch (error) {
    if (!isFailure(error) || error.details['status'] !== 409) throw error
    // The library asks again when an answer is lost.
    if (await isOurBlob(blob, imageId, abortSignal)) return
    throw new Failure('CLOUD_FAILED', `blob ${blob.name} is there already`, {
      fix: 'Name another azure_name, or remove that one.',
    })
  }
}

/** Whether a blob is there that was made for an image of ours: names are anybody's. */
export async function isOurBlob(
  blob: PageBlobClient,
  imageId: string,
  abortSignal: AbortSignal,
): Promise<boolean> {
  try {
    const { metadata } = await asking(`blob ${blob.name}`, blob.getProperties({ abortSignal }))
    return metadata?.[MAKER] === imageId
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return false
    throw error
  }
}
