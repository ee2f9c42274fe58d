/** What becomes of an image whose work failed, was cancelled, or could not be begun anew. */
import type { Lease, Task } from '../../tasks/task.ts'
import { isFailure } from '../../base/failure.ts'
import { outcomeOf } from '../../tasks/outcome.ts'
import { failChildren } from './_children.ts'
import { clearThings } from './_clear-things.ts'
import type { ImageRow } from './_factory-tables.ts'
import { announce, type Ground } from './_ground.ts'
import { addLeftovers } from './_leftovers.ts'
import { maskOf } from './_mask-of.ts'
import { imageIdOf, openRecorder } from './_run-stage.ts'
import type { Secrets } from './_secrets.ts'

/** FAILED, with the reason; what was made elsewhere is removed, or kept as leftovers for `reap`. */
export async function undoStage(
  ground: Ground,
  task: Task,
  reason: Error,
  lease: Lease,
): Promise<void> {
  const row = await ground.records.find(imageIdOf(task))
  if (row === undefined) return
  const secrets: Secrets = await ground.secrets.read(row.id).catch(() => ({})) // sealed by another key: as if there were none
  const recorder = openRecorder(ground, row, lease, maskOf(ground, row, secrets))
  ground.callbacks.remember(row.id, secrets.parameters?.['callbacks'])
  const { signal } = lease
  const things = task.leftovers
  const cleared = await clearThings(ground, { row, secrets, things, signal, log: recorder.log })
  await ground.clearWorkDirs()
  signal.throwIfAborted() // somebody else goes on, and clears away the rest
  await ground.bodies.remove(row.id, signal)
  const error = errorOf(reason)
  recorder.log.event(`failed: ${error}`)
  let failed: ImageRow[] = []
  const change = {
    status: 'FAILED' as const,
    error,
    ended_at: ground.context.now().getTime(),
    body_id: null,
  }
  await recorder.end(change, async (tx) => {
    failed = await failChildren(
      ground,
      tx,
      row,
      isCancel(reason) ? 'was cancelled' : `failed: ${error}`,
    )
    await addLeftovers(ground, tx, row, cleared)
    await ground.secrets.forget(tx, row.id)
    await lease.finish(outcomeOf(reason), tx)
  })
  announce(ground, failed)
}

function errorOf(reason: Error): string {
  return isCancel(reason) ? 'cancelled' : outcomeOf(reason).message
}

function isCancel(reason: Error): boolean {
  return isFailure(reason, 'TASK_CANCELLED')
}
