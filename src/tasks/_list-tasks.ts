import type { Kysely } from 'kysely'
import { type TaskTables, toTask } from './_task-table.ts'
import type { TaskQuery } from './ledger.ts'
import type { Task } from './task.ts'

/** One page of tasks, the newest first unless told otherwise; `id` breaks ties. */
export async function listTasks(tables: Kysely<TaskTables>, query: TaskQuery): Promise<Task[]> {
  const { key, direction } = query.sort ?? { key: 'created_at', direction: 'desc' }
  let select = tables.selectFrom('tasks').selectAll()
  if (query.hidden !== true) select = select.where('hidden', '=', 0)
  if (query.owner !== undefined) select = select.where('owner', '=', query.owner)
  if (query.subject !== undefined) select = select.where('subject', '=', query.subject)
  if (query.type !== undefined) select = select.where('type', '=', query.type)
  if (query.status !== undefined) select = select.where('status', '=', query.status)
  if (query.after) {
    const beyond = direction === 'asc' ? '>' : '<'
    const { id } = query.after
    const value = sortValue(query.after, key)
    select = select.where(({ eb, or, and }) =>
      or([eb(key, beyond, value), and([eb(key, '=', value), eb('id', beyond, id)])]),
    )
  }
  select = select.orderBy(key, direction)
  if (key !== 'id') select = select.orderBy('id', direction)
  if (query.limit !== undefined) select = select.limit(query.limit)
  return (await select.execute()).map(toTask)
}

function sortValue(task: Task, key: NonNullable<TaskQuery['sort']>['key']): string | number {
  if (key === 'created_at') return task.createdAt.getTime()
  if (key === 'updated_at') return task.updatedAt.getTime()
  return task[key]
}
