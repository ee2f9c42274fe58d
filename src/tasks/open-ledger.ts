import { type Kysely, sql } from 'kysely'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database, Tx } from '../database/database.ts'
import { HeldLease } from './_held-lease.ts'
import type { LedgerGround } from './_ledger-ground.ts'
import { type TaskTables, ledgerTime, toTask } from './_task-table.ts'
import { type Timers, realTimers } from './_timers.ts'
import { listTasks } from './_list-tasks.ts'
import type { Ledger, TaskQuery } from './ledger.ts'
import type { Lease, NewTask, Task } from './task.ts'

export interface LedgerOptions {
  /** A worker that is silent for so long is taken for dead. */
  readonly leaseMs: number
  /** Tasks that ended are kept for so long. */
  readonly keepMs: number
  /** This server's name in leases. */
  readonly holder: string
  /**
   * No other process goes by this name (this one holds the lock of its data directory): leases in it are those of a
   * predecessor that died, and are given back at once rather than when they run out.
   */
  readonly sole?: boolean
  readonly timers?: Timers
}

/** At a time: of what nobody holds, and of what is forgotten. */
const BATCH = 1000

/** The ledger in `database`, to which `ledgerMigrations` were applied. */
export async function openLedger(
  database: Database,
  options: LedgerOptions,
  context: Context,
): Promise<Ledger> {
  const { leaseMs, keepMs, holder, sole = false, timers = realTimers } = options
  const time = () => ledgerTime(database.kind, context.now)
  const ledger = new DatabaseLedger({
    database,
    log: context.log,
    timers,
    leaseMs,
    held: new Map(),
    newHolder: () => `${holder}/${context.newId()}`,
    time,
    leaseUntil: () => sql<number>`${time()} + ${leaseMs}`,
    expiry: () => sql<number>`${time()} + ${keepMs}`,
  })
  if (sole) await ledger.buryPredecessor(holder)
  return ledger
}

class DatabaseLedger implements Ledger {
  readonly #ground: LedgerGround

  constructor(ground: LedgerGround) {
    this.#ground = ground
  }

  async add(tx: Tx, task: NewTask): Promise<Task> {
    return this.#insert(tx, task, {
      status: 'pending',
      attempts: 0,
      holder: null,
      lease_until: null,
    })
  }

  async begin(tx: Tx, task: NewTask): Promise<() => Lease> {
    const { timers, newHolder, leaseUntil } = this.#ground
    const grantedAt = timers.now()
    const begun = await this.#insert(tx, task, {
      status: 'processing',
      attempts: 1,
      holder: newHolder(),
      lease_until: leaseUntil(),
    })
    return () => new HeldLease(this.#ground, begun, grantedAt)
  }

  async get(id: string, tx?: Tx): Promise<Task | undefined> {
    const row = await this.#tables(tx)
      .selectFrom('tasks')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row && toTask(row)
  }

  async list(query: TaskQuery, tx?: Tx): Promise<Task[]> {
    return listTasks(this.#tables(tx), query)
  }

  async holderOf(subject: string, tx?: Tx): Promise<Task | undefined> {
    const row = await this.#tables(tx)
      .selectFrom('tasks')
      .selectAll()
      .where('subject', '=', subject)
      .where('expires_at', 'is', null)
      .executeTakeFirst()
    return row && toTask(row)
  }

  async claim(id: string): Promise<Lease | undefined> {
    const { database, timers, newHolder, leaseUntil, time } = this.#ground
    const grantedAt = timers.now()
    const row = await database.writeRows((tx) =>
      tx
        .as<TaskTables>()
        .updateTable('tasks')
        .set(({ eb }) => ({
          status: 'processing',
          holder: newHolder(),
          lease_until: leaseUntil(),
          attempts: eb('attempts', '+', 1),
          updated_at: time(),
        }))
        .where('id', '=', id)
        .where('expires_at', 'is', null)
        .where(({ eb, or }) => or([eb('lease_until', 'is', null), eb('lease_until', '<', time())]))
        .returningAll()
        .executeTakeFirst(),
    )
    return row && new HeldLease(this.#ground, toTask(row), grantedAt)
  }

  async cancel(id: string): Promise<void> {
    await this.#ground.database.writeRows((tx) =>
      tx
        .as<TaskTables>()
        .updateTable('tasks')
        .set({ cancelled: 1 })
        .where('id', '=', id)
        .where('expires_at', 'is', null)
        .execute(),
    )
    this.#ground.held.get(id)?.cancelled()
  }

  async orphans(busy: readonly string[] = []): Promise<Task[]> {
    const { time, leaseMs } = this.#ground
    // What was begun twice or more rests between two beginnings, longer each time: it may be what kills its workers.
    const rested = sql<boolean>`updated_at + ${leaseMs} * (case
      when attempts < 2 then 0 when attempts > 10 then 10 else attempts - 1 end) <= ${time()}`
    let select = this.#tables()
      .selectFrom('tasks')
      .selectAll()
      .where('expires_at', 'is', null)
      .where(({ eb, or }) => or([eb('lease_until', 'is', null), eb('lease_until', '<', time())]))
      .where(({ eb, or, and }) =>
        or([rested, and([eb('cancelled', '=', 1), eb('failing', 'is', null)])]),
      )
    if (busy.length > 0)
      select = select.where(({ eb, or }) =>
        or([eb('type', 'not in', busy), eb('cancelled', '=', 1), eb('failing', 'is not', null)]),
      )
    const rows = await select.orderBy('created_at').limit(BATCH).execute()
    return rows.map(toTask)
  }

  async prune(): Promise<number> {
    const { database, time } = this.#ground
    const gone = await database.writeRows((tx) => {
      const tables = tx.as<TaskTables>()
      const expired = tables
        .selectFrom('tasks')
        .select('id')
        .where('expires_at', '<', time())
        .limit(BATCH)
      return tables.deleteFrom('tasks').where('id', 'in', expired).returning('id').execute()
    })
    return gone.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ending = new Failure('LEASE_LOST', 'this server is ending')
    const held = [...this.#ground.held.values()]
    for (const lease of held) lease.stop(ending)
    await Promise.all(held.map((lease) => lease[Symbol.asyncDispose]()))
  }

  async buryPredecessor(holder: string): Promise<void> {
    const prefix = `${holder}/`
    await this.#ground.database.writeRows((tx) =>
      tx
        .as<TaskTables>()
        .updateTable('tasks')
        .set({ holder: null, lease_until: null })
        .where(sql<string>`substr(holder, 1, ${prefix.length})`, '=', prefix)
        .where('expires_at', 'is', null)
        .execute(),
    )
  }

  async #insert(
    tx: Tx,
    task: NewTask,
    state: {
      status: 'pending' | 'processing'
      attempts: number
      holder: string | null
      lease_until: ReturnType<LedgerGround['time']> | null
    },
  ): Promise<Task> {
    const { time } = this.#ground
    const row = await tx
      .as<TaskTables>()
      .insertInto('tasks')
      .values({
        id: task.id,
        type: task.type,
        owner: task.owner,
        user_id: task.userId ?? null,
        request_id: task.requestId ?? null,
        subject: task.subject ?? null,
        hidden: task.hidden === true ? 1 : 0,
        input: JSON.stringify(task.input),
        result: 'null',
        message: '',
        done: 0,
        total: task.total ?? null,
        leftovers: JSON.stringify(task.leftovers ?? []),
        cancelled: 0,
        failing: null,
        created_at: time(),
        updated_at: time(),
        expires_at: null,
        ...state,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst()
    if (row) return toTask(row)
    const busy = task.subject == null ? undefined : await this.holderOf(task.subject, tx)
    if (!busy) throw new Error(`there is a task ${task.id} already`)
    throw new Failure('SUBJECT_BUSY', `${task.subject} is busy: task ${busy.id} (${busy.type})`, {
      details: { subject: task.subject, task: busy.id, type: busy.type },
    })
  }

  #tables(tx?: Tx): Kysely<TaskTables> {
    return tx ? tx.as<TaskTables>() : this.#ground.database.read<TaskTables>()
  }
}
