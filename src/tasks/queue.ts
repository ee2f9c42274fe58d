/**
 * Wakes a worker for a task. It may lose a message or bring it twice: the ledger is the truth, and is swept
 * for what nobody holds. Two drivers: in this process (`local-queue.ts`), and `pg-boss` on the PostgreSQL that
 * several servers share (`pg-boss-queue.ts`). Closing one does not wait for what is being handled.
 */
export interface Queue extends AsyncDisposable {
  /** After the transaction that added the task. One that waits already is not added again. */
  offer(taskId: string): Promise<void>
  /** At most `concurrency` at a time in this process; what `handle` throws is logged. */
  work(concurrency: number, handle: (taskId: string) => Promise<void>): Promise<void>
  /** Hands out nothing more in this process; what is handled goes on, and offers go to others. */
  rest(): Promise<void>
}
