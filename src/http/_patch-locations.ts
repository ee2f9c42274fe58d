import type { Tx } from '../database/database.ts'
import { Failure } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import type { LocationChange, NewLocation } from '../imports/imports.ts'
import { checkAllowed, type ImageVisit } from './_door.ts'
import type { PatchStep } from './_json-patch.ts'

/**
 * What the steps about locations will do, in the transaction of the rest of the patch; undefined if there are none.
 * Fails with FORBIDDEN (the configuration does not show locations; policy), and as `Imports.planLocations`.
 */
export async function planLocationSteps(
  visit: ImageVisit,
  steps: readonly PatchStep[],
): Promise<((tx: Tx) => Promise<Image>) | undefined> {
  const changes = steps.filter(({ name }) => name === 'locations').map(toChange)
  if (changes.length === 0) return undefined
  const { service, image, target } = visit
  if (!service.config.image.show_multiple_locations)
    throw new Failure('FORBIDDEN', 'locations cannot be changed where they are not shown')
  for (const { op } of changes)
    checkAllowed(visit, op === 'remove' ? 'delete_image_location' : 'set_image_location', target)
  return await service.imports.planLocations(image, changes)
}

/** Values have passed the schema of images. */
function toChange({ operation, place, value }: PatchStep): LocationChange {
  switch (operation) {
    case 'replace':
      return { op: 'replace', value: value as readonly NewLocation[] }
    case 'remove':
      return { op: 'remove', position: toPosition(place) }
    default:
      return { op: 'add', position: toPosition(place), value: value as NewLocation }
  }
}

function toPosition(place: string | undefined): number | '-' {
  if (place === '-') return '-'
  if (place !== undefined && /^\d{1,9}$/.test(place)) return Number(place)
  throw new Failure('REQUEST_INVALID', `'${place}' is no place in a list: a number or -`)
}
