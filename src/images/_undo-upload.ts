import type { Context } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import type { Database } from '../database/database.ts'
import type { Stores } from '../stores/store.ts'
import { outcomeOf } from '../tasks/outcome.ts'
import type { Json, Lease, Task } from '../tasks/task.ts'
import type { Catalog } from './catalog.ts'
import { openStaged } from './staged.ts'

/** Tasks that are the work of a request. */
export type UploadKind = 'upload' | 'stage'

export interface UndoParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly stores: Stores
  readonly context: Context
}

/**
 * Puts an image back in the queue whose data did not come, and removes what came of it. The record comes first:
 * it must not wait for a store that is away. Until the object is gone the task holds the image's lock.
 */
export async function undoUpload(
  { database, catalog, stores, context }: UndoParts,
  task: Task,
  reason: Error,
  lease: Lease,
): Promise<void> {
  const { subject: id } = task
  if (id !== null)
    await database.write(async (tx) => {
      await lease.guard(tx)
      const image = await catalog.get(id, tx)
      if (image?.status !== 'saving' && image?.status !== 'uploading') return
      await openStaged(catalog).forget(tx, id)
      await catalog.removeAttachment(tx, id, 'map')
      const nothing = { size: null, virtualSize: null, stagedSize: 0 }
      await catalog.update(tx, id, { ...nothing, status: 'queued' })
    })
  for (const object of task.leftovers.filter(isObject))
    await removeObject(stores, catalog, object, context)
  await lease.finish(outcomeOf(reason))
}

/** Removes an object that no record names; one of a store that is only read, or not configured any more, is left. */
export async function removeObject(
  stores: Stores,
  catalog: Catalog,
  { store, key }: StoredObject,
  { log }: Pick<Context, 'log'>,
): Promise<void> {
  if (stores.all.some(({ id, readOnly }) => id === store && readOnly)) return
  if (await catalog.isLocated(store, key)) return log.warn('object.still-named', { store, key })
  try {
    await stores.get(store).remove(key)
  } catch (error) {
    if (!isFailure(error, 'STORE_UNKNOWN')) throw error
    log.warn('object.left', { store, key, error: error.message })
  }
}

export interface StoredObject {
  readonly store: string
  readonly key: string
}

export function isObject(value: Json): value is { store: string; key: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { store, key } = value as { readonly [key: string]: Json }
  return typeof store === 'string' && typeof key === 'string'
}
