import { Failure, isFailure, messageOf } from '../base/failure.ts'
import type { Image, Location } from '../images/image.ts'
import type { ImportParts } from './_ground.ts'

/** A place that somebody names, and how many bytes stand there. */
export interface FoundLocation {
  readonly location: Location
  readonly size: number
}

/**
 * Fails with REQUEST_INVALID when the address is none of a configured store's, or nothing stands there. Whoever is not
 * trusted names places of `others` only: an object of a store that we write belongs to some image already.
 */
export async function findLocation(
  { stores, context }: Pick<ImportParts, 'stores' | 'context'>,
  url: string,
  { metadata = {}, of }: { metadata?: Location['metadata']; of: 'others' | 'anybody' },
): Promise<FoundLocation> {
  for (const store of stores.all) {
    const key = store.keyOf(url)
    if (key === undefined || (of === 'others' && !store.readOnly)) continue
    try {
      await using data = await store.open(key)
      const location = { id: context.newId(), store: store.id, key, url, metadata }
      return { location, size: data.size }
    } catch (cause) {
      if (!isFailure(cause)) throw cause
      throw new Failure('REQUEST_INVALID', `no data can be read at ${url}: ${messageOf(cause)}`, {
        details: { url, store: store.id },
        cause,
      })
    }
  }
  // Tempest takes these words for a refusal that it may have to expect.
  throw new Failure(
    'REQUEST_INVALID',
    `${url.slice(0, 200)} does not pass filtering: no configured store reads there`,
  )
}

/** Fails with REQUEST_INVALID: an image whose formats are not known can hold nothing. */
export function checkFormats({ diskFormat, containerFormat }: Image): void {
  const missing = [
    ...(diskFormat === null ? ['disk_format'] : []),
    ...(containerFormat === null ? ['container_format'] : []),
  ]
  if (missing.length > 0)
    throw new Failure('REQUEST_INVALID', `${missing.join(', ')} must be set prior to saving data`)
}
