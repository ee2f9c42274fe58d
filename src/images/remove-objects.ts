import { isFailure } from '../base/failure.ts'
import type { Json, TaskKind } from '../tasks/task.ts'
import { isObject, removeObject, type UndoParts } from './_undo-upload.ts'
import { REMOVE_OBJECTS } from './open-images.ts'

/**
 * Removes objects that belonged to images which are gone. It is tried until it succeeds: nobody else will think
 * of them. Input: `{ objects: [{ store, key }] }`.
 */
export function removeObjectsKind({
  catalog,
  stores,
  context,
}: Pick<UndoParts, 'catalog' | 'stores' | 'context'>): TaskKind {
  return {
    type: REMOVE_OBJECTS,
    resumes: true,
    attempts: Infinity,
    isPassing: (error) =>
      ['STORE_AWAY', 'STORE_DENIED', 'DATABASE_AWAY', 'DATABASE_BUSY', 'DATABASE_FULL'].some(
        (code) => isFailure(error) && error.code === code,
      ),
    run: async (lease) => {
      for (const object of objectsOf(lease.task.input)) {
        if (lease.signal.aborted) throw lease.signal.reason
        await removeObject(stores, catalog, object, context)
      }
      await lease.finish({ status: 'success', message: '' })
    },
    undo: async () => {},
  }
}

function objectsOf(input: Json) {
  const objects = (input as { readonly objects?: readonly Json[] } | null)?.objects
  return (objects ?? []).filter(isObject)
}
