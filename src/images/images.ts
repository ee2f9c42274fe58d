/** What is done with image records: created, changed, shared, deleted. Made by `openImages` (`open-images.ts`). */
import type { ImageChange } from './catalog.ts'
import type { Image, Member, MemberStatus } from './image.ts'

/** A new record, checked against schema and limits at the door. */
export type NewImage = Pick<
  Image,
  | 'id'
  | 'name'
  | 'visibility'
  | 'protected'
  | 'hidden'
  | 'owner'
  | 'containerFormat'
  | 'diskFormat'
  | 'minRamMiB'
  | 'minDiskGiB'
  | 'tags'
  | 'properties'
>

export interface Images {
  /** Queued, with no data. Fails with IMAGE_EXISTS, QUOTA_EXCEEDED. */
  create(image: NewImage): Promise<Image>
  /** Makes `change` of the record as it is in the transaction. Fails with IMAGE_NOT_FOUND and with what `change` throws. */
  change(id: string, change: (image: Image) => ImageChange): Promise<Image>
  /**
   * Removes the record, and its data by a task, which a crash does not lose. Work on it is cancelled.
   * Fails with IMAGE_NOT_FOUND, IMAGE_PROTECTED, IMAGE_STATE.
   */
  delete(id: string): Promise<void>
  /** Idempotent. Fails with IMAGE_STATE unless it is active or deactivated. */
  deactivate(id: string): Promise<Image>
  reactivate(id: string): Promise<Image>
  /** Fails with MEMBER_EXISTS, LIMIT_EXCEEDED, FORBIDDEN (the image is not shared). */
  addMember(id: string, member: string): Promise<Member>
  setMember(id: string, member: string, status: MemberStatus): Promise<Member>
  removeMember(id: string, member: string): Promise<void>
  /** Removes the data of one store. Fails with FORBIDDEN (its only copy), LOCATION_NOT_FOUND, IMAGE_BUSY. */
  removeFromStore(id: string, store: string): Promise<Image>
}
