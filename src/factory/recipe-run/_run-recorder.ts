/**
 * The record of a run at work: what changes and what is told is gathered, and written together, soon. Every write asks
 * that the lease still holds.
 */
import type { Database, Tx } from '../../database/database.ts'
import type { Lease } from '../../tasks/task.ts'
import { appendLog, type NewEntry } from '../_log-table.ts'
import type { Mask } from '../_mask.ts'
import type { BuildLog, LogKind } from '../build-log.ts'
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
/** Characters of an entry, and of all that waits to be written; what is more is lost. */
const ENTRY = 32 * 1024
const TOO_MUCH = 4 * 1024 * 1024

export class RunRecorder {
  readonly log: BuildLog
  readonly #id: string
  readonly #parts: RecorderParts
  #change: RunChange = {}
  #entries: NewEntry[] = []
  #waiting = 0
  #lost = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(id: string, parts: RecorderParts) {
    this.#id = id
    this.#parts = parts
    this.log = {
      event: (text) => this.#tell('event', text),
      output: (text) => this.#tell('output', text),
      console: (piece) => this.#tell('console', Buffer.from(piece as string).toString()),
    }
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
  }

  async #write(work?: (tx: Tx) => Promise<void>): Promise<void> {
    const { database, table, lease, maxLogSize, now, onWritten } = this.#parts
    const [change, entries, lost] = [this.#change, this.#entries, this.#lost]
    this.#change = {}
    this.#entries = []
    this.#waiting = 0
    this.#lost = 0
    try {
      await database.write(async (tx) => {
        if (work === undefined) await lease.guard(tx)
        const row = await table.demand(this.#id, tx)
        const limits = { maxSize: maxLogSize, now: now(), lost }
        const counts = await appendLog(tx, this.#id, entries, row, limits)
        await table.change(tx, this.#id, { ...change, ...counts }, now())
        await work?.(tx)
      })
    } catch (error) {
      this.#change = { ...change, ...this.#change }
      this.#entries = [...entries, ...this.#entries]
      this.#waiting = this.#entries.reduce((sum, { text }) => sum + text.length, 0)
      this.#lost += lost
      throw error
    }
    onWritten()
  }

  #isDirty(): boolean {
    return this.#entries.length > 0 || this.#lost > 0 || Object.keys(this.#change).length > 0
  }

  #tell(kind: LogKind, said: string): void {
    const text = this.#parts.mask.apply(said.replaceAll('\0', '␀').toWellFormed())
    if (text === '') return
    if (this.#waiting + text.length > TOO_MUCH) {
      this.#lost += Buffer.byteLength(text)
      return
    }
    const at = this.#parts.now()
    this.#waiting += text.length
    const last = this.#entries.at(-1)
    if (last && kind !== 'event' && last.kind === kind && last.text.length + text.length <= ENTRY)
      this.#entries[this.#entries.length - 1] = { ...last, text: last.text + text }
    else
      for (let from = 0; from < text.length; from += ENTRY)
        this.#entries.push({ at, kind, text: text.slice(from, from + ENTRY).toWellFormed() })
    this.#soon()
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
