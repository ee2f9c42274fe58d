/** What happens to images that wait for another one. */
import type { Tx } from '../../database/database.ts'
import type { ImageRow } from './_factory-tables.ts'
import { addTask, type Ground } from './_ground.ts'

/** Sets to work what waited for `parent`, which is COMPLETE now. Gives the tasks to be offered, and what changed. */
export async function beginChildren(
  ground: Ground,
  tx: Tx,
  parentId: string,
): Promise<{ tasks: string[]; rows: ImageRow[] }> {
  const tasks: string[] = []
  const rows: ImageRow[] = []
  for (const child of await ground.records.children(parentId, tx)) {
    if (child.status !== 'PENDING') continue
    const change = { status: 'NEW' as const, activity: 'waiting for its turn' }
    rows.push(await ground.records.change(tx, child.id, change))
    tasks.push(await addTask(ground, tx, child))
  }
  return { tasks, rows }
}

/** Fails what waited for `parent`, and what waited for that. Gives what changed. */
export async function failChildren(
  ground: Ground,
  tx: Tx,
  parent: Pick<ImageRow, 'id' | 'type'>,
  why: string,
): Promise<ImageRow[]> {
  const { records, secrets, context } = ground
  const failed: ImageRow[] = []
  for (const child of await records.children(parent.id, tx)) {
    if (child.status !== 'PENDING') continue
    const error = `its ${parent.type} image ${parent.id} ${why}`
    const now = context.now()
    const change = {
      status: 'FAILED' as const,
      activity: '',
      error,
      failed_by: parent.id,
      ended_at: now.getTime(),
    }
    const log = { entries: [{ at: now, kind: 'event' as const, text: `failed: ${error}` }] }
    failed.push(await records.change(tx, child.id, change, log))
    await secrets.forget(tx, child.id)
    failed.push(...(await failChildren(ground, tx, child, 'failed')))
  }
  return failed
}
