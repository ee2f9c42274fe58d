/** What is done with image records: created, changed, shared, deleted. Made by `openImages` (`open-images.ts`). */
import type { Tx } from '../database/database.ts'
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
  /** What `create` does, to be done in a transaction of the caller's: it fails as that does, and may be tried again. */
  creation(image: NewImage): Promise<(tx: Tx, status?: 'queued' | 'saving') => Promise<Image>>
  /**
   * Makes `change` of the record as it is in the transaction, and then `more` in the same one.
   * Fails with IMAGE_NOT_FOUND, and with what the two throw.
   */
  change(
    id: string,
    change: (image: Image) => ImageChange,
    more?: (tx: Tx) => Promise<Image>,
  ): Promise<Image>
  /**
   * Removes the record, and its data by a task, which a crash does not lose. Work on it is cancelled.
   * With a delay configured it is pending_delete until `purge`, and not found meanwhile; with `atOnce` it is gone,
   * also if it was waiting for that, and its id is free.
   * Fails with IMAGE_NOT_FOUND, IMAGE_PROTECTED, IMAGE_STATE.
   */
  delete(id: string, options?: { readonly atOnce?: boolean }): Promise<void>
  /** Removes images whose delay is over, some at a time; gives how many. For the sweeper. */
  purge(): Promise<number>
  /** Idempotent. Fails with IMAGE_NOT_FOUND, FORBIDDEN unless it is active or deactivated. */
  deactivate(id: string): Promise<Image>
  reactivate(id: string): Promise<Image>
  /** Fails with MEMBER_EXISTS, LIMIT_EXCEEDED, FORBIDDEN (the image is not shared: so do those below). */
  addMember(id: string, member: string): Promise<Member>
  /** Fails with MEMBER_NOT_FOUND, as does `removeMember`. */
  setMember(id: string, member: string, status: MemberStatus): Promise<Member>
  removeMember(id: string, member: string): Promise<void>
  /** Removes the data of one store. Fails with FORBIDDEN (its only copy), LOCATION_NOT_FOUND, IMAGE_BUSY. */
  removeFromStore(id: string, store: string): Promise<Image>
}
