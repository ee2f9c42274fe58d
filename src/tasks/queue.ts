/**
 * Wakes a worker for a task. It may lose a message or bring it twice: the ledger is the truth, and is swept
 * for what nobody holds. Two drivers: in this process (SQLite), and `pg-boss` (PostgreSQL).
 */
export interface Queue extends AsyncDisposable {
  /** After the transaction that added the task. */
  offer(taskId: string): Promise<void>
  /** At most `concurrency` at a time in this process. */
  work(concurrency: number, handle: (taskId: string) => Promise<void>): Promise<void>
}
