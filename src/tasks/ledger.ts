import type { Tx } from '../database/database.ts'
import type { Lease, NewTask, Task, TaskStatus } from './task.ts'

export interface TaskQuery {
  readonly owner?: string
  readonly subject?: string
  readonly type?: string
  readonly status?: TaskStatus
  readonly sort?: {
    readonly key: 'created_at' | 'updated_at' | 'type' | 'status' | 'id'
    readonly direction: 'asc' | 'desc'
  }
  readonly limit?: number
  readonly after?: Task
  /** Default false: work of requests is not listed. */
  readonly hidden?: boolean
}

/** What is to be done, and how it went. `openLedger` (`open-ledger.ts`) makes one. Closing it gives back its leases. */
export interface Ledger extends AsyncDisposable {
  /** Fails with SUBJECT_BUSY when an unfinished task has the same subject. */
  add(tx: Tx, task: NewTask): Promise<Task>
  get(id: string, tx?: Tx): Promise<Task | undefined>
  list(query: TaskQuery, tx?: Tx): Promise<Task[]>
  /** The unfinished task that holds a subject. */
  holderOf(subject: string, tx?: Tx): Promise<Task | undefined>
  /** Takes a task that nobody holds (or whose lease ran out). Undefined: somebody else has it, or it ended. */
  claim(id: string): Promise<Lease | undefined>
  /**
   * Adds a task and claims it in one step: work of a request. What it gives begins the lease, and is called when
   * the transaction stands. Fails with SUBJECT_BUSY.
   */
  begin(tx: Tx, task: NewTask): Promise<() => Lease>
  /**
   * Asks for it to be stopped; its worker hears with the next heartbeat, at once if it is in this process. One that
   * nobody works on is ended by the next worker that comes by: offer it to the queue. One that has ended stays as it is.
   */
  cancel(id: string): Promise<void>
  /**
   * Unfinished tasks that nobody holds, the oldest first; those that were begun often rest for a while in between. Of the
   * types in `busy`, for which there is no place now, only those that are to be undone.
   */
  orphans(busy?: readonly string[]): Promise<Task[]>
  /** Forgets tasks that ended long ago, some at a time; gives how many. */
  prune(): Promise<number>
}
