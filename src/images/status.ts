import { Failure } from '../base/failure.ts'
import type { Image, ImageStatus, Location } from './image.ts'

/**
 * Which status may follow which. What fails goes back to queued, so that it can be tried again.
 * Source: the states of images in the Image API v2.
 */
const MOVES: Readonly<Record<ImageStatus, readonly ImageStatus[]>> = {
  queued: ['saving', 'uploading', 'importing', 'active', 'deleted'],
  saving: ['active', 'queued', 'deleted'],
  uploading: ['importing', 'queued', 'deleted'],
  importing: ['active', 'queued', 'deleted'],
  active: ['deactivated', 'pending_delete', 'deleted'],
  deactivated: ['active', 'pending_delete', 'deleted'],
  pending_delete: ['deleted', 'active'],
  deleted: [],
}

const WITH_DATA: ReadonlySet<ImageStatus> = new Set(['active', 'deactivated', 'pending_delete'])

/**
 * Where the data of an image stands. An image that waits for data may name a place too: one whose content is not
 * hashed yet, or was not what it should be and cannot be removed. Nobody reads there.
 */
export function placesOf(image: Pick<Image, 'status' | 'locations'>): readonly Location[] {
  return WITH_DATA.has(image.status) ? image.locations : []
}

export const IMAGE_STATUSES = Object.keys(MOVES) as readonly ImageStatus[]

/** Whether an image of status `from` may become one of status `to`. */
export function canMove(from: ImageStatus, to: ImageStatus): boolean {
  return MOVES[from].includes(to)
}

/** Fails with IMAGE_STATE when the image may not become `to` now. */
export function checkMove({ id, status }: Pick<Image, 'id' | 'status'>, to: ImageStatus): void {
  if (canMove(status, to)) return
  throw new Failure('IMAGE_STATE', `image ${id} is ${status}, from which it cannot become ${to}`, {
    details: { id, status, wanted: to },
  })
}
