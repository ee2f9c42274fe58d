import { type RawBuilder, sql } from 'kysely'
import type { DatabaseKind } from '../database/database.ts'
import type { Json, Task, TaskStatus } from './task.ts'

/** Times are milliseconds since the epoch. PostgreSQL's driver may give its `bigint` as text. */
type Whole = number | string

export interface TaskRow {
  id: string
  type: string
  status: TaskStatus
  owner: string | null
  user_id: string | null
  request_id: string | null
  subject: string | null
  hidden: number
  input: string
  result: string
  message: string
  done: Whole
  total: Whole | null
  leftovers: string
  attempts: number
  cancelled: number
  failing: string | null
  created_at: Whole
  updated_at: Whole
  expires_at: Whole | null
  holder: string | null
  lease_until: Whole | null
}

export interface TaskTables {
  tasks: TaskRow
}

/** A row as callers know it. */
export function toTask(row: TaskRow): Task {
  return {
    id: row.id,
    type: row.type,
    status: row.status,
    owner: row.owner,
    userId: row.user_id,
    requestId: row.request_id,
    subject: row.subject,
    hidden: row.hidden === 1,
    input: JSON.parse(row.input) as Json,
    result: JSON.parse(row.result) as Json,
    message: row.message,
    done: Number(row.done),
    total: row.total === null ? null : Number(row.total),
    leftovers: JSON.parse(row.leftovers) as Json[],
    attempts: row.attempts,
    cancelled: row.cancelled === 1,
    failing: row.failing,
    createdAt: new Date(Number(row.created_at)),
    updatedAt: new Date(Number(row.updated_at)),
    expiresAt: toDate(row.expires_at),
    holder: row.holder,
    leaseUntil: toDate(row.lease_until),
  }
}

function toDate(time: Whole | null): Date | null {
  return time === null ? null : new Date(Number(time))
}

/**
 * The time by which leases are judged. Machines that share a PostgreSQL go by its clock, since their own may be apart
 * (that of the statement, which no transaction's wait makes older than the caller's own reckoning); processes that
 * share a file go by their machine's.
 */
export function ledgerTime(kind: DatabaseKind, now: () => Date): RawBuilder<number> {
  return kind === 'postgres'
    ? sql<number>`(extract(epoch from statement_timestamp()) * 1000)::bigint`
    : sql<number>`${now().getTime()}`
}
