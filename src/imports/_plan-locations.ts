/** The old locations API: a JSON patch of `/locations`. Source: what Glance answers to each operation. */
import { Failure } from '../base/failure.ts'
import type { Tx } from '../database/database.ts'
import type { Catalog, ImageChange } from '../images/catalog.ts'
import type { Image, Location } from '../images/image.ts'
import { placesOf } from '../images/status.ts'
import { REMOVE_OBJECTS } from '../images/open-images.ts'
import { checkFormats, findLocation, type FoundLocation } from './_find-location.ts'
import type { ImportParts } from './_ground.ts'
import type { LocationChange, NewLocation } from './imports.ts'
import { parseChecksum } from './parse-checksum.ts'

/** See `Imports.planLocations`. */
export async function planLocations(
  parts: ImportParts,
  image: Image,
  changes: readonly LocationChange[],
): Promise<(tx: Tx) => Promise<Image>> {
  const found = new Map<NewLocation, FoundLocation>()
  for (const one of changes.flatMap((change) => newLocationsOf(change, image)))
    found.set(one, await findLocation(parts, one.url, { metadata: one.metadata, of: 'others' }))
  return async (tx) => await applyChanges(parts, tx, image.id, changes, found)
}

function newLocationsOf(change: LocationChange, image: Image): readonly NewLocation[] {
  if (change.op === 'remove') return []
  if (change.op === 'add') return [change.value]
  return placesOf(image).length === 0 ? change.value : []
}

async function applyChanges(
  parts: ImportParts,
  tx: Tx,
  id: string,
  changes: readonly LocationChange[],
  found: ReadonlyMap<NewLocation, FoundLocation>,
): Promise<Image> {
  const { catalog, config } = parts
  for (const change of changes) {
    const image = await catalog.get(id, tx)
    if (image === undefined) throw new Failure('IMAGE_NOT_FOUND', `no image ${id}`)
    checkPossible(image, change)
    if (change.op === 'replace') await tellAgain(catalog, tx, image, change.value)
    const dropped = droppedBy(image, change)
    for (const { id: locationId } of dropped) await catalog.removeLocation(tx, id, locationId)
    await removeObjects(parts, tx, dropped)
    for (const one of newLocationsOf(change, image)) {
      const known = found.get(one)
      if (known === undefined)
        throw new Failure('IMAGE_CHANGED', `image ${id} has other locations now`)
      const { location, size } = known
      const now = await catalog.get(id, tx)
      if (now === undefined) throw new Failure('IMAGE_NOT_FOUND', `no image ${id}`)
      const places = placesOf(now)
      if (places.some(({ url }) => url === location.url))
        throw new Failure('REQUEST_INVALID', `image ${id} has the location ${location.url} already`)
      const { max_locations: most } = config.image
      if (most >= 0 && places.length >= most)
        throw new Failure('LIMIT_EXCEEDED', `image ${id} can stand at ${most} places`)
      const told = validated(now, one, config.image.hash_algorithm)
      const isFirst = now.status === 'queued'
      if (isFirst) checkFormats(now)
      const filled = { status: 'active', size, locations: [] } as const
      await catalog.update(tx, id, { ...told, ...(isFirst && filled) })
      await catalog.addLocation(tx, id, location)
    }
  }
  const changed = await catalog.get(id, tx)
  if (changed === undefined) throw new Failure('IMAGE_NOT_FOUND', `no image ${id}`)
  return changed
}

function checkPossible({ id, status, locations }: Image, change: LocationChange): void {
  const { op } = change
  const possible =
    op === 'remove' ? status === 'active' : status === 'active' || status === 'queued'
  if (!possible)
    throw new Failure('IMAGE_STATE', `image ${id} is ${status}: its locations cannot be changed`, {
      details: { id, status },
    })
  if (op === 'replace' && change.value.length === 0)
    throw new Failure('FORBIDDEN', `the last location of image ${id} cannot be taken away`)
  if (op === 'remove' && locations.length === 1)
    throw new Failure('FORBIDDEN', `the last location of image ${id} cannot be taken away`)
}

/**
 * A list of the places that an image has already changes what is said of them, and their order; no other list can come
 * in its stead. Fails with REQUEST_INVALID.
 */
async function tellAgain(
  catalog: Catalog,
  tx: Tx,
  image: Image,
  value: readonly NewLocation[],
): Promise<void> {
  const places = placesOf(image)
  if (places.length === 0) return
  if (urlsOf(places) !== urlsOf(value))
    throw new Failure(
      'REQUEST_INVALID',
      `image ${image.id} has locations: they are added and removed one by one, and not replaced`,
    )
  for (const { id } of places) await catalog.removeLocation(tx, image.id, id)
  for (const { url, metadata } of value) {
    const place = places.find((one) => one.url === url)
    const { store: _, ...told } = metadata // ours, in the list that was read
    if (place) await catalog.addLocation(tx, image.id, { ...place, metadata: told })
  }
}

function urlsOf(locations: readonly Pick<Location, 'url'>[]): string {
  return JSON.stringify(locations.map(({ url }) => url).toSorted())
}

function droppedBy(image: Image, change: LocationChange): readonly Location[] {
  if (change.op === 'replace') return []
  const { id } = image
  const locations = placesOf(image)
  const { op, position } = change
  const last = op === 'add' ? locations.length : locations.length - 1
  const at = position === '-' ? last : position
  if (op === 'add') {
    if (at < 0 || at > last) throw badPosition(id, op)
    return []
  }
  const dropped = locations[at]
  if (dropped === undefined) throw badPosition(id, op)
  return [dropped]
}

function badPosition(id: string, op: string): Failure {
  return new Failure('REQUEST_INVALID', `image ${id}: no location can be ${op}ed at that position`)
}

/** Objects of ours go with the last record that names them. */
async function removeObjects(
  { catalog, stores, ledger, context }: ImportParts,
  tx: Tx,
  dropped: readonly Location[],
): Promise<void> {
  const objects: { store: string; key: string }[] = []
  for (const { store, key } of dropped)
    if (!stores.get(store).readOnly && !(await catalog.isLocated(store, key, tx)))
      objects.push({ store, key })
  if (objects.length === 0) return
  const task = { id: context.newId(), type: REMOVE_OBJECTS, owner: null, hidden: true }
  await ledger.add(tx, { ...task, input: { objects } })
}

function conflict(reason: string): Failure {
  return new Failure('IMAGE_STATE', `validation_data: ${reason}`)
}

/** What the client says of the content. Fails with IMAGE_STATE on any contradiction. */
function validated(
  image: Image,
  { validation_data: told }: NewLocation,
  usual: string,
): ImageChange {
  if (told === undefined) return {}
  const { checksum, os_hash_algo: algorithm, os_hash_value: value } = told
  if (algorithm !== usual) throw conflict(`os_hash_algo must be ${usual}, not ${algorithm}`)
  try {
    parseChecksum({ algorithm, value })
    if (checksum !== undefined) parseChecksum({ algorithm: 'md5', value: checksum })
  } catch (error) {
    throw conflict(error instanceof Error ? error.message : '')
  }
  const known = {
    checksum: image.checksum,
    hashAlgorithm: image.hashAlgorithm,
    hashValue: image.hashValue,
  }
  const said = {
    ...(checksum !== undefined && { checksum }),
    hashAlgorithm: algorithm,
    hashValue: value,
  }
  for (const [name, text] of Object.entries(said)) {
    const before = known[name as keyof typeof known]
    if (before !== null && before !== text)
      throw conflict(`${name} is already set to something else`)
  }
  if (image.status !== 'queued' && image.hashValue === null)
    throw conflict(`only a queued image can be given digests; this one is ${image.status}`)
  return said
}
