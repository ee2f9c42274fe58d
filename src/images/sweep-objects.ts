import type { Context } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'
import type { Database } from '../database/database.ts'
import type { ListedObject, Store, Stores } from '../stores/store.ts'
import type { Ledger } from '../tasks/ledger.ts'
import type { Json } from '../tasks/task.ts'
import type { Catalog } from './catalog.ts'
import { openStaged } from './staged.ts'

export interface SweepParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly stores: Stores
  readonly context: Context
}

/** As all our objects are called: the image, and eight digits for the attempt. Others share the place, perhaps. */
const OUR_KEY = /^([0-9a-f-]{36})\.[0-9a-f]{8}$/

/**
 * Removes objects that no record names and no task that is under way, and that have not changed for `olderThanMs`; gives
 * how many. There are none as long as nothing goes wrong that the ledger does not know of: a server that was cut off
 * and went on writing after others had cleared away, a disk that forgot, a catalog put back from a backup.
 *
 * Stores that cannot be listed, or are away, are passed over.
 */
export async function sweepObjects(
  parts: SweepParts,
  { olderThanMs, signal }: { readonly olderThanMs: number; readonly signal: AbortSignal },
): Promise<number> {
  let removed = 0
  for (const store of parts.stores.all) {
    if (store.readOnly || !store.list) continue
    try {
      for await (const object of store.list()) {
        signal.throwIfAborted()
        const age = parts.context.now().getTime() - object.modifiedAt.getTime()
        if (age <= olderThanMs || !(await isOrphan(parts, store, object))) continue
        await store.remove(object.key)
        removed += 1
        const { key, size } = object
        parts.context.log.warn('object.orphan-removed', { store: store.id, key, size })
      }
    } catch (error) {
      if (signal.aborted) return removed
      parts.context.log.warn('object.sweep-failed', { store: store.id, error: messageOf(error) })
    }
  }
  return removed
}

/**
 * A key names one attempt, which noted it before it made it, and which nobody takes up again: what is an orphan stays
 * one. Ledger and catalog are read as of one moment, since an object passes from the one to the other.
 */
async function isOrphan(
  { database, catalog, ledger }: SweepParts,
  { id: store }: Store,
  { key }: ListedObject,
): Promise<boolean> {
  const imageId = OUR_KEY.exec(key)?.[1]
  if (imageId === undefined || (await catalog.isLocated(store, key))) return false
  return database.write(async (tx) => {
    if (await catalog.isLocated(store, key, tx)) return false
    const staged = await openStaged(catalog).find(imageId, tx)
    if (staged?.object?.store === store && staged.object.key === key) return false
    for (const status of ['pending', 'processing'] as const)
      for (const task of await ledger.list({ status, hidden: true }, tx))
        if (names(task.leftovers, key) || names(task.input, key)) return false
    return true
  })
}

/** Whether the text stands anywhere in it. */
function names(value: Json, text: string): boolean {
  if (value === null || typeof value !== 'object') return value === text
  return Object.values(value).some((part: Json) => names(part, text))
}
