/**
 * A VHD as a page blob. Pages that are not written read as zeros, so holes are not sent.
 * Source: Azure Storage, "Understanding block blobs, append blobs, and page blobs"; Put Page takes 4 MiB at most.
 */
import { createHash } from 'node:crypto'
import type { ContainerClient } from '@azure/storage-blob'
import { inLanes } from '../../base/in-lanes.ts'
import { MiB } from '../../base/units.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { asking } from './_azure-clients.ts'
import { cutParts, extentsOf, lengthOfParts } from './_disk-parts.ts'

const MOST = 4 * MiB

/** Writes the disk; how many bytes were sent. The extents begin and end at sectors, as page blobs want it. */
export async function writePageBlob(
  container: ContainerClient,
  name: string,
  disk: FormattedDisk,
  lanes: number,
  { signal: abortSignal, tell }: PhaseScene,
): Promise<number> {
  const blob = container.getPageBlobClient(name)
  await asking(`blob ${name}`, blob.create(disk.size, { abortSignal }))
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
