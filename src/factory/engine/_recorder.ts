/**
 * The record of an image at work, as its job sees it: what changes and what is told is gathered, and written together,
 * soon. Every write asks that the job's lease still holds. One recorder belongs to one lease.
 */
import type { Database, Tx } from '../../database/database.ts'
import type { Lease } from '../../tasks/task.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { Mask } from './_mask.ts'
import { PendingLog, type TakenEntries } from './_pending-log.ts'
import { plainText } from './_plain-text.ts'
import type { Records, RowChange } from './_records.ts'
import type { BuildLog } from '../build-log.ts'
import type { DocumentKind, FactoryImage, JsonObject } from '../factory-image.ts'

export interface RecorderParts {
  readonly database: Database
  readonly records: Records
  readonly lease: Lease
  readonly mask: Mask
  readonly now: () => Date
  /** Told of each change, before it is on the medium and after. */
  readonly onStatus: (image: FactoryImage) => void
  readonly onWritten: (image: FactoryImage) => void
  /** What fails here is heard by the job when its lease ends. */
  readonly onError: (error: unknown) => void
}

/** What waits to be written. */
interface Taken {
  readonly change: RowChange
  readonly documents: ReadonlyMap<DocumentKind, Uint8Array>
  readonly log: TakenEntries
}

const SOON_MS = 250
/** Characters of log that are written at once. */
const MUCH = 512 * 1024

export class Recorder {
  readonly log: BuildLog
  readonly #parts: RecorderParts
  readonly #pending: PendingLog
  #row: ImageRow
  #change: RowChange = {}
  #documents = new Map<DocumentKind, Uint8Array>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #writing: Promise<void> = Promise.resolve()

  constructor(row: ImageRow, parts: RecorderParts) {
    this.#row = row
    this.#parts = parts
    this.#pending = new PendingLog(parts.mask, parts.now, () => this.#soon())
    this.log = this.#pending.log
  }

  get row(): ImageRow {
    return this.#row
  }

  get image(): FactoryImage {
    return toImage(this.#row)
  }

  /** Changes the record; it is written soon. */
  set(change: RowChange): void {
    if (this.#isClosed) return
    const { mask, onStatus } = this.#parts
    const shown: RowChange = { ...change }
    if (change.activity !== undefined) shown.activity = plainText(mask.apply(change.activity))
    if (typeof change.error === 'string') shown.error = plainText(mask.apply(change.error))
    const isNews = change.status !== undefined && change.status !== this.#row.status
    this.#row = { ...this.#row, ...shown }
    this.#change = { ...this.#change, ...shown }
    if (isNews) onStatus(this.image)
    this.#soon()
  }

  /** Adds to the properties. */
  setProperties(properties: JsonObject): void {
    const known = JSON.parse(this.#row.properties) as JsonObject
    const added = this.#parts.mask.applyTo(properties)
    this.set({ properties: JSON.stringify({ ...known, ...added }) })
  }

  keepDocument(kind: DocumentKind, content: string | Uint8Array): void {
    const shown = typeof content === 'string' ? this.#parts.mask.apply(content) : content
    this.#documents.set(kind, typeof shown === 'string' ? Buffer.from(shown) : shown)
    this.#soon()
  }

  /** Writes all that waits. Fails with LEASE_LOST. */
  async write(): Promise<void> {
    const writing = this.#writing.catch(() => {}).then(() => this.#write())
    this.#writing = writing.catch(() => {})
    await writing
  }

  /** Writes all that waits, and the last change of the record, together with the end of the work. */
  async end(last: RowChange, work: (tx: Tx) => Promise<void>): Promise<void> {
    clearTimeout(this.#timer)
    await this.#writing
    clearTimeout(this.#timer)
    this.#pending.release()
    const { database, onStatus, onWritten } = this.#parts
    const taken = this.#taken()
    const change = { ...taken.change, ...last }
    try {
      await database.write(async (tx) => {
        await this.#writeIn(tx, { ...taken, change })
        await work(tx)
      })
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
    this.#row = { ...this.#row, ...last }
    onWritten(this.image)
    if (last.status !== undefined) onStatus(this.image)
  }

  /** Writes what can be written still. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#pending.release()
    await this.write().catch((error: unknown) => this.#parts.onError(error))
    this.#isClosed = true
    this.#pending.close() // work that was left behind has nothing to say any more
    clearTimeout(this.#timer)
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#isDirty()) return
    const { database, lease, onWritten } = this.#parts
    const taken = this.#taken()
    try {
      await database.write(async (tx) => {
        await lease.guard(tx)
        await this.#writeIn(tx, taken)
      })
    } catch (error) {
      this.#putBack(taken)
      throw error
    }
    onWritten(this.image)
  }

  #isDirty(): boolean {
    const isSilent = this.#pending.isEmpty && this.#documents.size === 0
    return !isSilent || Object.keys(this.#change).length > 0
  }

  /** What waits; from now on it does not. */
  #taken(): Taken {
    const taken = { change: this.#change, documents: this.#documents, log: this.#pending.take() }
    this.#change = {}
    this.#documents = new Map()
    return taken
  }

  #putBack({ change, documents, log }: Taken): void {
    this.#change = { ...change, ...this.#change }
    this.#documents = new Map([...documents, ...this.#documents])
    this.#pending.putBack(log)
  }

  async #writeIn(tx: Tx, { change, documents, log }: Taken): Promise<ImageRow> {
    const { records } = this.#parts
    await records.writeDocuments(tx, this.#row.id, documents)
    return await records.change(tx, this.#row.id, change, log)
  }

  #soon(): void {
    const ms = this.#pending.size > MUCH ? 0 : SOON_MS
    if (this.#timer !== undefined && ms > 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.write().catch((error: unknown) => this.#parts.onError(error))
    }, ms)
    this.#timer.unref()
  }
}
