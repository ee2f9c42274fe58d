/** What happens to images that wait for another one. */
import type { Tx } from '../../database/database.ts'
import type { ImageRow } from './_factory-tables.ts'
import { addTask, type Ground } from './_ground.ts'
import { eventsAt } from './_records.ts'

/** Sets to work what waited for `parent`, which is COMPLETE now. Gives the tasks to be offered, and what changed. */
export async function beginChildren(
  ground: Ground,
  tx: Tx,
  parentId: string,
): Promise<{ tasks: string[]; rows: ImageRow[] }> {
  const tasks: string[] = []
  const rows: ImageRow[] = []
  for (const child of await ground.records.children(parentId, ['PENDING'], tx)) {
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
  const failed: ImageRow[] = []
  for (const child of await ground.records.children(parent.id, ['PENDING'], tx)) {
    const error = `its ${parent.type} image ${parent.id} ${why}`
    failed.push(await failWaiting(ground, tx, child.id, { error, failed_by: parent.id }))
    failed.push(...(await failChildren(ground, tx, child, 'failed')))
  }
  return failed
}

/** Fails an image that nobody works on. */
export async function failWaiting(
  { records, secrets, context }: Ground,
  tx: Tx,
  id: string,
  why: { readonly error: string; readonly failed_by: string | null },
): Promise<ImageRow> {
  const at = context.now()
  await secrets.forget(tx, id)
  const change = { ...why, status: 'FAILED' as const, activity: '', ended_at: at.getTime() }
  return await records.change(tx, id, change, eventsAt(at, `failed: ${why.error}`))
}
