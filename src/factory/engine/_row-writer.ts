/**
 * Writes to the record of what is at work: what changes, and what is told, is gathered and written together, soon. Every
 * write asks that the lease still holds. One writer belongs to one lease.
 */
import type { Database, Tx } from '../../database/database.ts'
import type { Lease } from '../../tasks/task.ts'
import type { Mask } from './_mask.ts'
import { PendingLog } from './_pending-log.ts'
import type { LogChange } from './_records.ts'
import type { BuildLog } from '../build-log.ts'

export interface RowWriterParts<Change> {
  readonly database: Database
  readonly lease: Pick<Lease, 'guard'>
  /** Of what is told. */
  readonly mask: Mask
  readonly now: () => Date
  readonly nothing: Change
  /** Two changes as one. */
  readonly merge: (earlier: Change, later: Change) => Change
  readonly writeIn: (tx: Tx, change: Change, log: LogChange) => Promise<unknown>
  /** Told when something is on the medium. */
  readonly onWritten: () => void
  /** What fails here is heard by the work when its lease ends. */
  readonly onError: (error: unknown) => void
}

const SOON_MS = 250
/** Characters of log that are written at once. */
const MUCH = 512 * 1024

export class RowWriter<Change> {
  readonly log: BuildLog
  readonly #parts: RowWriterParts<Change>
  readonly #pending: PendingLog
  #change: Change
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(parts: RowWriterParts<Change>) {
    this.#parts = parts
    this.#change = parts.nothing
    this.#pending = new PendingLog(parts.mask, parts.now, () => this.#soon())
    this.log = this.#pending.log
  }

  /** It is written soon. */
  add(change: Change): void {
    this.#change = this.#parts.merge(this.#change, change)
    this.#soon()
  }

  /** Writes all that waits. Fails with LEASE_LOST. */
  async write(): Promise<void> {
    const writing = this.#writing.catch(() => {}).then(() => this.#write())
    this.#writing = writing.catch(() => {})
    await writing
  }

  /** Writes all that waits, and the last change, in the transaction in which `work` ends the task. */
  async end(last: Change, work: (tx: Tx) => Promise<void>): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    this.#pending.release()
    const { merge, writeIn } = this.#parts
    await this.#transact(async (tx, change, log) => {
      await writeIn(tx, merge(change, last), log)
      await work(tx)
    })
  }

  /** Writes what can be written still. */
  async close(): Promise<void> {
    this.#pending.release()
    await this.write().catch((error: unknown) => this.#parts.onError(error))
    this.#pending.close() // work that was left behind has nothing to say any more
    clearTimeout(this.#timer)
  }

  async #write(): Promise<void> {
    const { lease, nothing, writeIn } = this.#parts
    if (this.#pending.isEmpty && this.#change === nothing) return
    await this.#transact(async (tx, change, log) => {
      await lease.guard(tx)
      await writeIn(tx, change, log)
    })
  }

  /** Takes what waits. It waits again if the transaction fails: the end of a work that did not end is not among it. */
  async #transact(work: (tx: Tx, change: Change, log: LogChange) => Promise<void>): Promise<void> {
    const { database, nothing, merge, onWritten } = this.#parts
    clearTimeout(this.#timer)
    this.#timer = undefined
    const change = this.#change
    const log = this.#pending.take()
    this.#change = nothing
    try {
      await database.writeRows((tx) => work(tx, change, log))
    } catch (error) {
      if (change !== nothing) this.#change = merge(change, this.#change)
      this.#pending.putBack(log)
      throw error
    }
    onWritten()
  }

  #soon(): void {
    const ms = this.#pending.size > MUCH ? 0 : SOON_MS
    if (this.#timer !== undefined && ms > 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.write().catch((error: unknown) => this.#parts.onError(error))
    }, ms)
    this.#timer.unref()
  }
}
