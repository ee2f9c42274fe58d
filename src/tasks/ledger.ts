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

/** What is to be done, and how it went. `openLedger` (`open-ledger.ts`) makes one. */
export interface Ledger {
  /** Fails with SUBJECT_BUSY when an unfinished task has the same subject. */
  add(tx: Tx, task: NewTask): Promise<Task>
  get(id: string, tx?: Tx): Promise<Task | undefined>
  list(query: TaskQuery, tx?: Tx): Promise<Task[]>
  /** The unfinished task that holds a subject. */
  holderOf(subject: string, tx?: Tx): Promise<Task | undefined>
  /** Takes a task that nobody holds (or whose lease ran out). Undefined: somebody else has it, or it ended. */
  claim(id: string): Promise<Lease | undefined>
  /** Adds a task and claims it in one step: work of a request. */
  begin(tx: Tx, task: NewTask): Promise<() => Lease>
  /** Asks for it to be stopped; its worker hears with the next heartbeat, at once if it is in this process. */
  cancel(id: string): Promise<void>
  /** Unfinished tasks that nobody holds. */
  orphans(): Promise<Task[]>
  /** Forgets tasks that ended long ago. */
  prune(): Promise<number>
}
