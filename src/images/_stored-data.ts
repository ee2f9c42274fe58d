import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import type { Source } from '../bytes/source.ts'
import type { ContentCache } from '../stores/content-cache.ts'
import type { Stores } from '../stores/store.ts'
import type { Image, Location } from './image.ts'

/** Drivers whose data is on this machine, and need not be kept here a second time. */
const LOCAL: ReadonlySet<string> = new Set(['file', 'memory'])

export interface StoredDataParts {
  readonly stores: Stores
  readonly cache?: ContentCache | undefined
  readonly context: Context
}

/**
 * The locations of an image, the best first: those in the stores of `prefer`, in that order; the others by the
 * weights of their stores. Fails with STORE_UNKNOWN (in `prefer`).
 */
export function inOrder(
  { locations }: Image,
  stores: Stores,
  prefer: readonly string[] = [],
): Location[] {
  const preferred = prefer.map((id) => stores.get(id).id)
  const weights = new Map(stores.all.map(({ id, weight }) => [id, weight]))
  const rank = ({ store }: Location) => {
    const place = preferred.indexOf(store)
    return place < 0 ? preferred.length : place
  }
  const weight = ({ store }: Location) => weights.get(store) ?? -Infinity
  return locations.toSorted((a, b) => rank(a) - rank(b) || weight(b) - weight(a))
}

/**
 * Opens the data at the first location where it can be had.
 * Fails with OBJECT_NOT_FOUND (there is no data), and as the last location that was tried does.
 */
export async function openStoredData(
  image: Image,
  prefer: readonly string[] | undefined,
  parts: StoredDataParts,
): Promise<Source> {
  const { stores, cache, context } = parts
  const locations = inOrder(image, stores, prefer)
  const open = async () => await openFirst(image, locations, stores, context)
  const best = locations[0]?.store
  const isFar = stores.all.some(({ id, driver }) => id === best && !LOCAL.has(driver))
  return cache && isFar ? await cache.through(image.id, open) : await open()
}

async function openFirst(
  { id, size }: Image,
  locations: readonly Location[],
  stores: Stores,
  { log }: Context,
): Promise<Source> {
  let last: unknown
  for (const { store, key } of locations)
    try {
      const source = await stores.get(store).open(key)
      if (size === null || source.size === size) return source
      await source[Symbol.asyncDispose]()
      throw new Failure('OBJECT_NOT_FOUND', `store ${store} has ${source.size} bytes, not ${size}`)
    } catch (error) {
      if (!isFailure(error)) throw error
      log.warn('location.failed', { imageId: id, store, code: error.code, message: error.message })
      last = error
    }
  throw last ?? new Failure('OBJECT_NOT_FOUND', `image ${id} has no data`, { details: { id } })
}
