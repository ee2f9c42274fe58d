/**
 * The record of an image at work, as its job sees it: what changes and what is told is gathered, and written together,
 * soon. Every write asks that the job's lease still holds. One recorder belongs to one lease.
 */
import type { Database, Tx } from '../database/database.ts'
import type { Lease } from '../tasks/task.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { NewEntry } from './_log-table.ts'
import type { Mask } from './_mask.ts'
import type { Records, RowChange } from './_records.ts'
import type { BuildLog, LogKind } from './build-log.ts'
import type { DocumentKind, FactoryImage, JsonObject } from './factory-image.ts'

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
  readonly entries: readonly NewEntry[]
  readonly lost: number
  /** Characters of `entries`. */
  readonly size: number
}

const SOON_MS = 250
/** Bytes of an entry; of what waits to be written at once; of what waits at all. */
const ENTRY = 32 * 1024
const MUCH = 512 * 1024
const TOO_MUCH = 4 * 1024 * 1024

export class Recorder {
  readonly log: BuildLog
  readonly #parts: RecorderParts
  readonly #decoder = new TextDecoder()
  #row: ImageRow
  #change: RowChange = {}
  #documents = new Map<DocumentKind, Uint8Array>()
  #entries: NewEntry[] = []
  #waiting = 0
  #lost = 0
  /** By kind: the end of what came, with which a secret may begin. */
  readonly #held = new Map<LogKind, string>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #writing: Promise<void> = Promise.resolve()

  constructor(row: ImageRow, parts: RecorderParts) {
    this.#row = row
    this.#parts = parts
    this.log = {
      event: (text) => this.#tell('event', text),
      output: (piece) => this.#tell('output', piece),
      console: (piece) =>
        this.#tell(
          'console',
          typeof piece === 'string' ? piece : this.#decoder.decode(piece, { stream: true }),
        ),
    }
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
    if (change.activity !== undefined) shown.activity = plain(mask.apply(change.activity))
    if (typeof change.error === 'string') shown.error = plain(mask.apply(change.error))
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
    this.#release()
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
    this.#release()
    await this.write().catch((error: unknown) => this.#parts.onError(error))
    this.#isClosed = true // work that was left behind has nothing to say any more
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
    return (
      this.#entries.length > 0 ||
      this.#lost > 0 ||
      this.#documents.size > 0 ||
      Object.keys(this.#change).length > 0
    )
  }

  /** What waits; from now on it does not. */
  #taken(): Taken {
    const taken = {
      change: this.#change,
      documents: this.#documents,
      entries: this.#entries,
      lost: this.#lost,
      size: this.#waiting,
    }
    this.#change = {}
    this.#documents = new Map()
    this.#entries = []
    this.#lost = 0
    this.#waiting = 0
    return taken
  }

  #putBack(taken: Taken): void {
    this.#change = { ...taken.change, ...this.#change }
    this.#documents = new Map([...taken.documents, ...this.#documents])
    this.#entries = [...taken.entries, ...this.#entries]
    this.#lost += taken.lost
    this.#waiting += taken.size
  }

  async #writeIn(
    tx: Tx,
    { change, documents, entries, lost }: Omit<Taken, 'size'>,
  ): Promise<ImageRow> {
    const { records } = this.#parts
    await records.writeDocuments(tx, this.#row.id, documents)
    return await records.change(tx, this.#row.id, change, { entries, lost })
  }

  #tell(kind: LogKind, text: string): void {
    const held = (this.#held.get(kind) ?? '') + plain(text)
    // An event is whole; of a stream the end may be the beginning of a secret.
    const open = kind === 'event' ? held.length : this.#parts.mask.openEnd(held)
    this.#held.set(kind, held.slice(open))
    this.#add(kind, this.#parts.mask.apply(held.slice(0, open)))
  }

  #release(): void {
    for (const [kind, text] of this.#held) this.#add(kind, this.#parts.mask.apply(text))
    this.#held.clear()
  }

  #add(kind: LogKind, text: string): void {
    if (text === '' || this.#isClosed) return
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
    const ms = this.#waiting > MUCH ? 0 : SOON_MS
    if (this.#timer !== undefined && ms > 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.write().catch((error: unknown) => this.#parts.onError(error))
    }, ms)
    this.#timer.unref()
  }
}

/** As every database keeps text. */
function plain(text: string): string {
  return text.replaceAll('\0', '␀').toWellFormed()
}
