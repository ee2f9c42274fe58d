import { Failure } from '../base/failure.ts'
import type { Location } from '../images/image.ts'
import { checkAllowed, type ImageVisit } from './_door.ts'
import type { PatchStep } from './_json-patch.ts'
import { checkCount } from './_new-image.ts'

/** A location as a patch gives it. */
interface GivenLocation {
  readonly url: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly validation_data?: {
    readonly checksum?: string
    readonly os_hash_algo: string
    readonly os_hash_value: string
  }
}

/**
 * Does the steps that are about locations, in order. The first location makes a queued image active.
 * Fails with FORBIDDEN (the configuration does not show locations; policy; the list would be empty),
 * REQUEST_INVALID, LIMIT_EXCEEDED, and with what adding a location fails with.
 */
export async function patchLocations(
  visit: ImageVisit,
  steps: readonly PatchStep[],
): Promise<void> {
  for (const step of steps) if (step.name === 'locations') await patchOnce(visit, step)
}

async function patchOnce(visit: ImageVisit, { operation, place, value }: PatchStep): Promise<void> {
  const { service, target } = visit
  if (!service.config.image.show_multiple_locations)
    throw new Failure('FORBIDDEN', 'locations cannot be changed where they are not shown')
  if (operation === 'remove') {
    checkAllowed(visit, 'delete_image_location', target)
    return await removeAt(visit, place ?? '')
  }
  checkAllowed(visit, 'set_image_location', target)
  const locations = await locationsNow(visit)
  if (operation === 'add') {
    checkPosition(place ?? '-', locations.length)
    return await add(visit, value as GivenLocation, locations.length)
  }
  const wanted = value as readonly GivenLocation[]
  if (wanted.length === 0)
    throw new Failure('FORBIDDEN', 'the locations of an image cannot be replaced by none')
  if (locations.length > 0)
    throw new Failure(
      'REQUEST_INVALID',
      'the locations of an image that has some are not replaced',
      {
        fix: 'Add and remove single ones: /locations/-, /locations/0.',
      },
    )
  for (const [index, one] of wanted.entries()) await add(visit, one, index)
}

async function add({ service, image, caller }: ImageVisit, given: GivenLocation, held: number) {
  checkCount('locations', held + 1, service.config.image.max_locations)
  const { os_hash_algo: algorithm, os_hash_value: hash } = given.validation_data ?? {}
  const validation =
    algorithm === undefined || hash === undefined ? undefined : { algorithm, value: hash }
  await service.imports.addLocation(image, given.url, validation, caller)
}

async function removeAt(visit: ImageVisit, place: string): Promise<void> {
  const { service, image } = visit
  const locations = await locationsNow(visit)
  const location = locations[Number(place)]
  if (!/^\d+$/.test(place) || location === undefined)
    throw new Failure('REQUEST_INVALID', `there is no location ${place} of ${locations.length}`)
  await service.images.removeFromStore(image.id, location.store)
}

async function locationsNow({ service, image }: ImageVisit): Promise<readonly Location[]> {
  return (await service.catalog.get(image.id))?.locations ?? []
}

/** A new location may be put anywhere up to the end of the list; it is kept in the order of coming. */
function checkPosition(place: string, length: number): void {
  if (place === '-' || (/^\d+$/.test(place) && Number(place) <= length)) return
  throw new Failure('REQUEST_INVALID', `there is no place ${place} in ${length} locations`)
}
