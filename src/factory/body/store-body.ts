import { setTimeout } from 'node:timers/promises'
import { Failure, isFailure } from '../../base/failure.ts'
import { openImage } from '../../formats/open-image.ts'
import type { Image } from '../../images/image.ts'
import type { UploadRequest } from '../../images/upload.ts'
import { DIGEST } from './_body-digest.ts'
import { streamDisk } from './_disk-stream.ts'
import type { BodyParts, BodyRecord } from './body.ts'

export interface StoreBodyOrder extends BodyRecord {
  /** The disk, a file of this host that a builder made. */
  readonly path: string
  readonly format: 'raw' | 'qcow2'
}

/** How often it is looked whether earlier work on the image has ended, and for how long. */
const LOOK_MS = 250
const LOOKS = 720

/**
 * Brings a disk into the default store, as the raw golden of a new image of the catalog. It is read once, holes are not
 * read, and quotas, limits and digests are those of an upload. Of an image of this id that an earlier attempt left
 * nothing stays; when this one fails there is none.
 *
 * Fails with QUOTA_EXCEEDED, LIMIT_EXCEEDED, IMAGE_UNSAFE, IMAGE_UNREADABLE, IMAGE_NOT_FOUND (no such file), STORE_FULL,
 * STORE_READ_ONLY, STORE_DENIED, STORE_AWAY, IMAGE_PROTECTED, IMAGE_BUSY, INTERRUPTED.
 */
export async function storeBody(parts: BodyParts, order: StoreBodyOrder): Promise<Image> {
  await using file = await openImage(order.path, { format: order.format })
  const taking = { alsoHash: DIGEST } as const
  return await fillBody(parts, order, { stream: streamDisk(file), size: file.disk.size, taking })
}

/** What is stored, and what becomes of it on the way. */
interface Content extends Pick<UploadRequest, 'stream' | 'size' | 'taking'> {
  /** What comes. Default raw. */
  readonly diskFormat?: string
}

/** As `storeBody`, of a stream. */
export async function fillBody(
  parts: BodyParts,
  record: BodyRecord,
  { stream, size, taking, diskFormat = 'raw' }: Content,
): Promise<Image> {
  const { images, uploads } = parts
  const { imageId, name, requester, properties = {}, signal, tell } = record
  const { minRamMiB = 0, minDiskGiB = 0, tags = [] } = record.like ?? {}
  await removeBody(parts, imageId, signal)
  const create = await images.creation({
    id: imageId,
    name,
    visibility: 'private',
    protected: false,
    hidden: false,
    owner: requester.owner,
    containerFormat: 'bare',
    diskFormat,
    minRamMiB,
    minDiskGiB,
    tags,
    properties,
  })
  try {
    const { userId, requestId } = requester
    const told = tell && size !== undefined ? counted(stream, size, tell) : stream
    const content = { stream: told, size, taking }
    const made = { owner: requester.owner, make: create }
    return await uploads.upload({ imageId, create: made, ...content, userId, requestId, signal })
  } catch (error) {
    await images.delete(imageId, { atOnce: true }).catch((left: unknown) => {
      if (!isFailure(left, 'IMAGE_NOT_FOUND'))
        parts.context.log.warn('body.left', { imageId, error: String(left) })
    })
    throw error
  }
}

/**
 * Removes the body of this id, at once, whatever delay is configured for images; that there is none is no failure. Waits
 * for the end of an upload whose process died, which holds the id until it is undone.
 * Fails with IMAGE_PROTECTED, IMAGE_BUSY (other work is under way), INTERRUPTED.
 */
export async function removeBody(
  { catalog, images, ledger }: Pick<BodyParts, 'catalog' | 'images' | 'ledger'>,
  imageId: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await catalog.get(imageId)) !== undefined)
    await images.delete(imageId, { atOnce: true }).catch((error: unknown) => {
      if (!isFailure(error, 'IMAGE_NOT_FOUND')) throw error
    })
  for (let looks = 0; (await ledger.holderOf(imageId)) !== undefined; looks++) {
    if (signal.aborted) throw new Failure('INTERRUPTED', `storing image ${imageId} was interrupted`)
    if (looks === LOOKS)
      throw new Failure('IMAGE_BUSY', `other work on image ${imageId} does not end`, {
        details: { id: imageId },
      })
    await setTimeout(LOOK_MS, undefined, { signal }).catch(() => {}) // told above
  }
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
  tell: (fraction: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of chunks) {
    yield chunk
    done += chunk.length
    tell(done / size)
  }
}
