/** The table of recipe runs, and a row as callers know it. Times are milliseconds since the epoch, structures JSON. */
import type { Database, Tx } from '../../database/database.ts'
import { lockRows } from '../../database/lock-rows.ts'
import { Failure } from '../../base/failure.ts'
import type { TaskStatus } from '../../tasks/task.ts'
import type { FactoryTables } from '../engine/_factory-tables.ts'
import { appendLog } from '../engine/_log-table.ts'
import type { LogChange } from '../engine/_records.ts'
import type { RecipeRun, RecipeRunKind, RecipeRunQuery } from '../recipe-runs.ts'

export interface RunRow {
  id: string
  kind: RecipeRunKind
  status: TaskStatus
  message: string
  percent: number
  recipe: string
  image_id: string | null
  hosts: string
  new_image_id: string | null
  ok: number | null
  owner: string | null
  user_id: string | null
  request_id: string
  /** The order, with its secrets; forgotten when the run has ended. */
  sealed: Uint8Array | null
  reports: string | null
  /** Grows with every change of what `RecipeRun` shows. */
  revision: number
  created_at: number
  updated_at: number
  ended_at: number | null
  /** See `_factory-tables.ts`. */
  log_end: number
  log_size: number
  log_head: number
  log_lost: number
}

export type RunChange = Partial<Omit<RunRow, 'id' | 'kind' | 'revision' | 'created_at'>>

interface RunTables extends Pick<FactoryTables, 'factory_log'> {
  recipe_runs: RunRow
}

const DEFAULT_PAGE = 100
const MAX_PAGE = 1000
/** Old runs that are forgotten when a new one comes. */
const PRUNED = 20

export class RunTable {
  readonly #database: Database
  readonly #now: () => Date
  readonly #maxLogSize: number

  constructor(database: Database, options: { now: () => Date; maxLogSize: number }) {
    this.#database = database
    this.#now = options.now
    this.#maxLogSize = options.maxLogSize
  }

  async insert(tx: Tx, row: RunRow): Promise<void> {
    await tx.as<RunTables>().insertInto('recipe_runs').values(row).execute()
  }

  /** Locked by a transaction that reads it. */
  async find(id: string, tx?: Tx): Promise<RunRow | undefined> {
    const tables = tx ? tx.as<RunTables>() : this.#database.read<RunTables>()
    const select = tables.selectFrom('recipe_runs').selectAll().where('id', '=', id)
    return await (tx ? lockRows(tx, select) : select).executeTakeFirst()
  }

  /** Fails with TASK_NOT_FOUND. */
  async demand(id: string, tx?: Tx): Promise<RunRow> {
    const row = await this.find(id, tx)
    if (row !== undefined) return row
    throw new Failure('TASK_NOT_FOUND', `no run of a recipe ${id}`, { details: { id } })
  }

  async list({ owner, kind, limit = DEFAULT_PAGE }: RecipeRunQuery): Promise<RunRow[]> {
    let select = this.#database.read<RunTables>().selectFrom('recipe_runs').selectAll()
    if (owner === null) select = select.where('owner', 'is', null)
    else if (owner !== undefined) select = select.where('owner', '=', owner)
    if (kind !== undefined) select = select.where('kind', '=', kind)
    const most = Math.max(1, Math.min(limit, MAX_PAGE))
    return await select.orderBy('created_at', 'desc').orderBy('id').limit(most).execute()
  }

  /** Changes a run, and adds to its log. Fails with TASK_NOT_FOUND. */
  async change(tx: Tx, id: string, change: RunChange, log: LogChange): Promise<void> {
    const row = await this.demand(id, tx)
    const now = this.#now()
    const limits = { maxSize: this.#maxLogSize, now, lost: log.lost ?? 0 }
    const counts = await appendLog(tx, id, log.entries, row, limits)
    const marks = { revision: row.revision + 1, updated_at: now.getTime() }
    await tx
      .as<RunTables>()
      .updateTable('recipe_runs')
      .set({ ...change, ...counts, ...marks })
      .where('id', '=', id)
      .execute()
  }

  /** Forgets some runs that ended before that time, with their logs. */
  async prune(tx: Tx, before: Date): Promise<void> {
    const tables = tx.as<RunTables>()
    const old = await tables
      .selectFrom('recipe_runs')
      .select('id')
      .where('ended_at', '<', before.getTime())
      .limit(PRUNED)
      .execute()
    if (old.length === 0) return
    const ids = old.map(({ id }) => id)
    await tables.deleteFrom('factory_log').where('image_id', 'in', ids).execute()
    await tables.deleteFrom('recipe_runs').where('id', 'in', ids).execute()
  }
}

export function toRun(row: RunRow): RecipeRun {
  return {
    id: row.id,
    kind: row.kind,
    status: row.status,
    message: row.message,
    percent: row.percent,
    recipe: row.recipe,
    imageId: row.image_id,
    hosts: JSON.parse(row.hosts) as string[],
    newImageId: row.new_image_id,
    ok: row.ok === null ? null : row.ok === 1,
    owner: row.owner,
    userId: row.user_id,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  }
}
