/**
 * Tasks: work that outlives its request. The ledger (`ledger.ts`) is the truth: what is to be done, who does
 * it now (a lease with a heartbeat), how far it is, how it ended. A queue (`queue.ts`) only wakes workers.
 * This room knows nothing of images: the kinds of work are handed in (`worker.ts`).
 */
import type { Tx } from '../database/database.ts'

export type TaskStatus = 'pending' | 'processing' | 'success' | 'failure'

/** JSON, as it is kept. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

export interface Task {
  readonly id: string
  /** `api_image_import`, `copy_image`, `upload`: names the `TaskKind` that does it. */
  readonly type: string
  readonly status: TaskStatus
  /** The project and user it is done for, and the request that asked for it. */
  readonly owner: string | null
  readonly userId: string | null
  readonly requestId: string | null
  /** What it is about: an image's id. At most one unfinished task holds a subject's lock. */
  readonly subject: string | null
  /** Work of a request (an upload): in the ledger so that its leftovers are found, in no listing. */
  readonly hidden: boolean
  readonly input: Json
  readonly result: Json
  /** For people: how far it is, or why it failed. */
  readonly message: string
  /** Bytes done, and of how many if that is known. */
  readonly done: number
  readonly total: number | null
  /** What has to be cleared away should the worker die; see `Lease.note`. */
  readonly leftovers: readonly Json[]
  /** How often it was begun; a beginning that was given back does not count, but for the first. */
  readonly attempts: number
  readonly cancelled: boolean
  /** Why it has failed, from then until all is undone and it has ended. */
  readonly failing: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When it may be forgotten; set when it ends. */
  readonly expiresAt: Date | null
  /** Who works on it, and until when nobody else may. Both null: nobody does. */
  readonly holder: string | null
  readonly leaseUntil: Date | null
}

export interface NewTask {
  readonly id: string
  readonly type: string
  readonly owner: string | null
  readonly userId?: string | null
  readonly requestId?: string | null
  readonly subject?: string | null
  readonly hidden?: boolean
  readonly input: Json
  readonly total?: number
  /** Noted from the start; see `Lease.note`. */
  readonly leftovers?: readonly Json[]
}

/** How a task ended. */
export interface Outcome {
  readonly status: 'success' | 'failure'
  /** For people. */
  readonly message: string
  readonly result?: Json
}

/**
 * The right to work on a task. It is renewed by a heartbeat for as long as it is open. To close it gives it back:
 * somebody else takes it up then, if it has not ended.
 */
export interface Lease extends AsyncDisposable {
  /** As it is now, so far as this lease changed it. */
  readonly task: Task
  /**
   * Aborted when the task was cancelled (`reason` is a Failure TASK_CANCELLED), when the lease is lost (LEASE_LOST;
   * before anybody else can have it, also if the database is away), or by `stop`.
   */
  readonly signal: AbortSignal
  /** Tells how far it is; kept with the next heartbeat. */
  tell(progress: { done?: number; total?: number; message?: string }): void
  /**
   * Notes, before it is made, what must be cleared away if nobody comes to do it: all of it, in place of what was
   * noted before. On the medium when it resolves, or with `tx`. Fails with LEASE_LOST, TASK_CANCELLED.
   */
  note(leftovers: readonly Json[], tx?: Tx): Promise<void>
  /**
   * Makes `tx` stand only if this lease still holds the task: for changes before the end. Fails with LEASE_LOST.
   */
  guard(tx: Tx): Promise<void>
  /**
   * Ends the task. With `tx` in that transaction: the outcome stands if, and only if, what it made does. A hidden
   * task is forgotten at once. Fails with LEASE_LOST.
   */
  finish(outcome: Outcome, tx?: Tx): Promise<void>
  /**
   * Keeps that the work has failed, so that from now on nobody begins it anew, and goes on as the lease under which it
   * is undone, with a signal of its own. This one is over. Called before anything is undone: when the answer to a
   * transaction was lost, it may have ended the task; then this fails, and all stands. Fails with LEASE_LOST.
   */
  giveUp(reason: Error): Promise<Lease>
  /** Gives it back for somebody else to begin anew, as if it had not been begun. */
  giveBack(): Promise<void>
  /** Aborts `signal`. */
  stop(reason: Error): void
}

/** One kind of work. */
export interface TaskKind {
  readonly type: string
  /** Does the work, from the start or from wherever `leftovers` say; ends the task with `lease.finish`. What it throws becomes the failure. */
  run(lease: Lease): Promise<void>
  /**
   * Puts things back as they were when the work failed, was cancelled, or its worker died and it cannot be
   * begun anew. It is called again, later, until it resolves. `lease` is its own: a record is put back in the transaction
   * in which `lease.finish(outcomeOf(reason), tx)` ends the task (or `lease.guard(tx)` holds), since somebody who has
   * taken over may have ended it and begun other work. What it does not end is ended after it.
   */
  undo(task: Task, reason: Error, lease: Lease): Promise<void>
  /** Whether work whose worker died is begun anew; if not, it is undone and has failed. */
  readonly resumes: boolean
  /** How often it is begun, at most, before it is undone and has failed. Default 5. */
  readonly attempts?: number
  /**
   * How many of them run at a time in this server, beside the other kinds, whose places they do not take. What is more
   * waits, held by nobody; of those who ask for work, who has least of it comes next. Left out: they share the
   * worker's `concurrency`.
   */
  readonly concurrency?: number
  /**
   * Whether what `run` threw will pass, so that work that resumes is begun anew after a rest. Default: if the database
   * was away or busy.
   */
  isPassing?(error: Error): boolean
}
