import { Failure } from '../../base/failure.ts'
import type { Task } from '../../tasks/task.ts'
import { failChildren, failWaiting } from './_children.ts'
import type { ImageRow } from './_factory-tables.ts'
import { announce, type Ground, offerAll, subjectOf } from './_ground.ts'
import { undoStage } from './_undo-stage.ts'
import { isFinal } from '../factory-image.ts'

/** Stops an image, and what waits for it. One that is at work ends when its worker has heard, and cleared away. */
export async function cancelImage(ground: Ground, id: string): Promise<ImageRow> {
  const { database, records, ledger } = ground
  const { row, task, failed } = await database.writeRows(async (tx) => {
    const row = await records.demand(id, tx)
    if (isFinal(row.status) || row.status === 'DELETING') throw hasEnded(row)
    const task = await ledger.holderOf(subjectOf(id), tx)
    if (task) return { row, task, failed: [] }
    // It waits for another one: nobody works on it.
    const cancelled = await failWaiting(ground, tx, id, { error: 'cancelled', failed_by: null })
    const failed = [cancelled, ...(await failChildren(ground, tx, row, 'was cancelled'))]
    return { row, task: undefined, failed }
  })
  announce(ground, failed)
  if (task && (ground.list.partOf(row) || !(await undoHere(ground, task)))) {
    await ledger.cancel(task.id)
    await offerAll(ground, [task.id])
  }
  return await records.demand(id)
}

/** Ends the work of a part that is not here, which no worker here would take. False: another server is at it. */
async function undoHere(ground: Ground, { id }: Task): Promise<boolean> {
  await using lease = await ground.ledger.claim(id)
  if (lease === undefined) return false
  const cancelled = new Failure('TASK_CANCELLED', 'the task was cancelled')
  await undoStage(ground, lease.task, cancelled, lease)
  return true
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
