/**
 * Tasks: work that outlives its request. The ledger (`ledger.ts`) is the truth: what is to be done, who does
 * it now (a lease with a heartbeat), how far it is, how it ended. A queue (`queue.ts`) only wakes workers.
 * This room knows nothing of images: the kinds of work are handed in (`worker.ts`).
 */

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
  /** How often it was begun. */
  readonly attempts: number
  readonly cancelled: boolean
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When it may be forgotten; set when it ends. */
  readonly expiresAt: Date | null
  /** Who works on it, and until when nobody else may. */
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
}

/** The right to work on a task. It is renewed by a heartbeat for as long as it is open. */
export interface Lease extends AsyncDisposable {
  readonly task: Task
  /** Aborted when the task was cancelled (`reason` is a Failure TASK_CANCELLED) or the lease lost (LEASE_LOST). */
  readonly signal: AbortSignal
  /** Tells how far it is; kept with the next heartbeat. */
  tell(progress: { done?: number; total?: number; message?: string }): void
  /** Notes, before it is made, something that must be cleared away if nobody comes to do it. On the medium when it resolves. */
  note(leftovers: readonly Json[]): Promise<void>
  /**
   * Ends the task. With `tx` in that transaction: the outcome stands if, and only if, what it made does.
   * Fails with LEASE_LOST.
   */
  finish(
    outcome: { status: 'success' | 'failure'; message: string; result?: Json },
    tx?: import('../database/database.ts').Tx,
  ): Promise<void>
}

/** One kind of work. */
export interface TaskKind {
  readonly type: string
  /** Does the work, from the start or from wherever `leftovers` say; ends the task with `lease.finish`. What it throws becomes the failure. */
  run(lease: Lease): Promise<void>
  /**
   * Puts things back as they were when the work failed, was cancelled, or its worker died and it cannot be
   * begun anew. May be called more than once. Runs under a lease of its own.
   */
  undo(task: Task, reason: Error): Promise<void>
  /** Whether work whose worker died is begun anew; if not, it is undone and has failed. */
  readonly resumes: boolean
}
