/**
 * The record of a run at work: what changes and what is told is gathered, and written together, soon. Every write asks
 * that the lease still holds.
 */
import type { Database, Tx } from '../../database/database.ts'
import type { Lease } from '../../tasks/task.ts'
import { appendLog } from '../engine/_log-table.ts'
import type { Mask } from '../engine/_mask.ts'
import { PendingLog } from '../engine/_pending-log.ts'
import type { BuildLog } from '../build-log.ts'
import type { RunChange, RunTable } from './_run-table.ts'

export interface RecorderParts {
  readonly database: Database
  readonly table: RunTable
  readonly lease: Lease
  readonly mask: Mask
  readonly maxLogSize: number
  readonly now: () => Date
  /** Told when something is on the medium. */
  readonly onWritten: () => void
  /** What fails here is heard by the run when its lease ends. */
  readonly onError: (error: unknown) => void
}

const SOON_MS = 250

export class RunRecorder {
  readonly log: BuildLog
  readonly #id: string
  readonly #parts: RecorderParts
  readonly #pending: PendingLog
  #change: RunChange = {}
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(id: string, parts: RecorderParts) {
    this.#id = id
    this.#parts = parts
    this.#pending = new PendingLog(parts.mask, parts.now, () => this.#soon())
    this.log = this.#pending.log
  }

  /** Of texts secrets are masked. */
  set(change: RunChange): void {
    this.#change = { ...this.#change, ...this.#parts.mask.applyTo(change) }
    this.#soon()
  }

  /** Writes all that waits, in the transaction in which `work` ends the task: nothing is told after that. */
  async end(change: RunChange, work: (tx: Tx) => Promise<void>): Promise<void> {
    await this.#rest()
    this.#change = { ...this.#change, ...this.#parts.mask.applyTo(change) }
    await this.#write(work)
  }

  /** Writes what can be written still. */
  async close(): Promise<void> {
    await this.#rest()
    if (this.#isDirty()) await this.#write().catch((error: unknown) => this.#parts.onError(error))
  }

  async #rest(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    clearTimeout(this.#timer)
    this.#pending.release()
  }

  async #write(work?: (tx: Tx) => Promise<void>): Promise<void> {
    const { database, table, lease, maxLogSize, now, onWritten } = this.#parts
    const change = this.#change
    const taken = this.#pending.take()
    this.#change = {}
    try {
      await database.write(async (tx) => {
        if (work === undefined) await lease.guard(tx)
        const row = await table.demand(this.#id, tx)
        const limits = { maxSize: maxLogSize, now: now(), lost: taken.lost }
        const counts = await appendLog(tx, this.#id, taken.entries, row, limits)
        await table.change(tx, this.#id, { ...change, ...counts }, now())
        await work?.(tx)
      })
    } catch (error) {
      this.#change = { ...change, ...this.#change }
      this.#pending.putBack(taken)
      throw error
    }
    onWritten()
  }

  #isDirty(): boolean {
    return !this.#pending.isEmpty || Object.keys(this.#change).length > 0
  }

  #soon(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#write().catch((error: unknown) => this.#parts.onError(error))
    }, SOON_MS)
    this.#timer.unref()
  }
}
