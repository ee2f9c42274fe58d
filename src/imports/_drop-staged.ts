import type { Tx } from '../database/database.ts'
import { REMOVE_OBJECTS } from '../images/open-images.ts'
import type { ImportParts } from './_ground.ts'
import type { StoredObject } from './method.ts'

/**
 * Nothing is staged for the image any more. What stood there and is no part of the record is removed, with `more`, by
 * a task, whose id is given.
 */
export async function dropStaged(
  { catalog, ledger, staged, context }: ImportParts,
  tx: Tx,
  imageId: string,
  more: readonly StoredObject[] = [],
): Promise<string | undefined> {
  const found = await staged.find(imageId, tx)
  if (found !== undefined) await staged.forget(tx, imageId)
  const objects: { store: string; key: string }[] = []
  for (const { store, key } of found?.object === undefined ? more : [found.object, ...more])
    if (!(await catalog.isLocated(store, key, tx))) objects.push({ store, key })
  if (objects.length === 0) return undefined
  const id = context.newId()
  const input = { objects }
  await ledger.add(tx, { id, type: REMOVE_OBJECTS, owner: null, hidden: true, input })
  return id
}
