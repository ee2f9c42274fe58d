import { Failure } from '../../base/failure.ts'
import { failChildren, failWaiting } from './_children.ts'
import type { ImageRow } from './_factory-tables.ts'
import { announce, type Ground, offerAll, subjectOf } from './_ground.ts'
import { isFinal } from '../factory-image.ts'

/** Stops an image, and what waits for it. One that is at work ends when its worker has heard, and cleared away. */
export async function cancelImage(ground: Ground, id: string): Promise<ImageRow> {
  const { database, records, ledger } = ground
  const { task, failed } = await database.writeRows(async (tx) => {
    const row = await records.demand(id, tx)
    if (isFinal(row.status) || row.status === 'DELETING') throw hasEnded(row)
    const task = await ledger.holderOf(subjectOf(id), tx)
    if (task) return { task, failed: [] }
    // It waits for another one: nobody works on it.
    const cancelled = await failWaiting(ground, tx, id, { error: 'cancelled', failed_by: null })
    const failed = [cancelled, ...(await failChildren(ground, tx, row, 'was cancelled'))]
    return { task: undefined, failed }
  })
  announce(ground, failed)
  if (task) {
    await ledger.cancel(task.id)
    await offerAll(ground, [task.id])
  }
  return await records.demand(id)
}

function hasEnded({ id, status, type }: ImageRow): Failure {
  return new Failure(
    'BUILD_STATE',
    `${type} image ${id} is ${status}: there is nothing to cancel`,
    {
      details: { id, status },
    },
  )
}
