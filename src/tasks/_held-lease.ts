import type { UpdateObject } from 'kysely'
import { Failure, messageOf } from '../base/failure.ts'
import type { Tx } from '../database/database.ts'
import { lockRows } from '../database/lock-rows.ts'
import type { LedgerGround } from './_ledger-ground.ts'
import { type TaskTables, toTask } from './_task-table.ts'
import { outcomeOf } from './outcome.ts'
import type { Json, Lease, Outcome, Task } from './task.ts'

type Change = UpdateObject<TaskTables, 'tasks'>

/** Of the lease: when it is renewed, how soon again if that failed, and when its holder takes it for lost. */
const BEAT = 1 / 3
const RETRY = 1 / 15
const LOST = 5 / 6

/**
 * A lease that this process holds. Every write to its row asks that the row still names this very lease as its holder,
 * so that whoever was taken over from changes nothing more.
 */
export class HeldLease implements Lease {
  readonly #ground: LedgerGround
  readonly #controller = new AbortController()
  readonly #holder: string
  #task: Task
  /** It has ended, was given back, or was lost. */
  #over = false
  /** It was ended in a transaction of which nobody told whether it stands. */
  #endedInTx = false
  #cancelBeat = (): void => {}
  #cancelLoss = (): void => {}

  /** `grantedAt`: when the query was sent that took it, on `ground.timers`; the database began to count later. */
  constructor(ground: LedgerGround, task: Task, grantedAt: number) {
    this.#ground = ground
    this.#task = task
    this.#holder = task.holder ?? ''
    ground.held.set(task.id, this)
    this.#renewed(grantedAt)
    if (task.cancelled) this.cancelled()
  }

  get task(): Task {
    return this.#task
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  tell({ done, total, message }: { done?: number; total?: number; message?: string }): void {
    const task = this.#task
    this.#task = {
      ...task,
      done: done ?? task.done,
      total: total ?? task.total,
      message: message ?? task.message,
    }
  }

  async note(leftovers: readonly Json[], tx?: Tx): Promise<void> {
    const change = { leftovers: JSON.stringify(leftovers) }
    if (tx) await this.#change(tx, change)
    else await this.#renew(change)
    this.#task = { ...this.#task, leftovers }
    if (!tx && this.signal.aborted) throw this.signal.reason
  }

  async guard(tx: Tx): Promise<void> {
    const own = tx
      .as<TaskTables>()
      .selectFrom('tasks')
      .select('id')
      .where('id', '=', this.#task.id)
      .where('holder', '=', this.#holder)
      .where('expires_at', 'is', null)
    const held = await lockRows(tx, own).executeTakeFirst() // nobody takes it over before this stands
    if (!held) throw this.#lost()
  }

  async finish(outcome: Outcome, tx?: Tx): Promise<void> {
    if (tx) {
      this.#endedInTx = true
      await this.#end(outcome, tx)
    } else {
      await this.#ground.database.writeRows((tx) => this.#end(outcome, tx))
      this.#close()
    }
    this.#task = { ...this.#task, ...outcome }
  }

  async giveUp(reason: Error): Promise<Lease> {
    const { database, timers, newHolder, leaseUntil } = this.#ground
    const grantedAt = timers.now()
    const change = {
      ...this.#progress(),
      failing: outcomeOf(reason).message,
      holder: newHolder(),
      lease_until: leaseUntil(),
    }
    const row = await database.writeRows((tx) => this.#change(tx, change))
    this.#close()
    return new HeldLease(this.#ground, toTask(row), grantedAt)
  }

  async giveBack(): Promise<void> {
    this.#close()
    await this.#ground.database.writeRows((tx) =>
      this.#change(tx, {
        ...this.#progress(),
        status: 'pending',
        holder: null,
        lease_until: null,
        attempts: Math.max(1, this.#task.attempts - 1),
      }),
    )
  }

  stop(reason: Error): void {
    this.#controller.abort(reason)
  }

  /** Somebody cancelled it. Work that is being undone goes on. */
  cancelled(): void {
    if (this.#task.failing !== null) return
    this.stop(new Failure('TASK_CANCELLED', 'the task was cancelled'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return
    this.#close()
    try {
      if (this.#endedInTx && !(await this.#isStillHeld())) return
      const change = { ...this.#progress(), holder: null, lease_until: null }
      await this.#ground.database.writeRows((tx) => this.#change(tx, change))
    } catch (error) {
      // It runs out by itself.
      const { id } = this.#task
      this.#ground.log.debug('task.not-given-back', { id, error: messageOf(error) })
    }
  }

  async #isStillHeld(): Promise<boolean> {
    const row = await this.#ground.database
      .read<TaskTables>()
      .selectFrom('tasks')
      .select(['holder', 'expires_at'])
      .where('id', '=', this.#task.id)
      .executeTakeFirst()
    return row !== undefined && row.holder === this.#holder && row.expires_at === null
  }

  async #end({ status, message, result = null }: Outcome, tx: Tx): Promise<void> {
    const { id, hidden } = this.#task
    if (hidden) {
      const gone = await tx
        .as<TaskTables>()
        .deleteFrom('tasks')
        .where('id', '=', id)
        .where('holder', '=', this.#holder)
        .returning('id')
        .executeTakeFirst()
      if (!gone) throw this.#lost()
      return
    }
    await this.#change(tx, {
      ...this.#progress(),
      status,
      message,
      result: JSON.stringify(result),
      failing: null,
      leftovers: '[]',
      holder: null,
      lease_until: null,
      expires_at: this.#ground.expiry(),
    })
  }

  #progress(): Change {
    const { done, total, message } = this.#task
    return { done, total, message }
  }

  async #change(tx: Tx, change: Change) {
    const row = await tx
      .as<TaskTables>()
      .updateTable('tasks')
      .set({ ...change, updated_at: this.#ground.time() })
      .where('id', '=', this.#task.id)
      .where('holder', '=', this.#holder)
      .where('expires_at', 'is', null)
      .returningAll()
      .executeTakeFirst()
    if (!row) throw this.#lost()
    return row
  }

  /** Renews it, with what else is to be kept. */
  async #renew(change: Change = {}): Promise<void> {
    const { database, timers, leaseUntil } = this.#ground
    const sentAt = timers.now()
    const row = await database.writeRows((tx) =>
      this.#change(tx, { ...this.#progress(), ...change, lease_until: leaseUntil() }),
    )
    if (this.#over) return
    this.#renewed(sentAt)
    if (row.cancelled === 1) this.cancelled()
  }

  #renewed(sentAt: number): void {
    const { timers, leaseMs } = this.#ground
    this.#cancelLoss()
    this.#cancelLoss = timers.after(sentAt + leaseMs * LOST - timers.now(), () => this.#lost())
    this.#beatAfter(leaseMs * BEAT)
  }

  #beatAfter(ms: number): void {
    this.#cancelBeat()
    this.#cancelBeat = this.#ground.timers.after(ms, () => void this.#beat())
  }

  async #beat(): Promise<void> {
    try {
      if (this.#endedInTx && !(await this.#isStillHeld())) return this.#close()
      this.#endedInTx = false
      await this.#renew()
    } catch (error) {
      const { log, leaseMs } = this.#ground
      log.warn('task.not-renewed', { id: this.#task.id, error: messageOf(error) })
      if (!this.#over) this.#beatAfter(leaseMs * RETRY)
    }
  }

  /** Stops the work, as long as nobody else can have begun it. */
  #lost(): Failure {
    const lost = new Failure('LEASE_LOST', `task ${this.#task.id} is no longer this server's`)
    if (!this.#over) {
      this.#close()
      this.stop(lost)
    }
    return lost
  }

  #close(): void {
    this.#over = true
    this.#cancelBeat()
    this.#cancelLoss()
    if (this.#ground.held.get(this.#task.id) === this) this.#ground.held.delete(this.#task.id)
  }
}
