/** The record of an image at work, as its job sees it: as it will be when all is written. */
import type { Database, Tx } from '../../database/database.ts'
import type { Lease } from '../../tasks/task.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { Mask } from './_mask.ts'
import { plainText } from './_plain-text.ts'
import type { Records, RowChange } from './_records.ts'
import { RowWriter } from './_row-writer.ts'
import type { BuildLog } from '../build-log.ts'
import type { DocumentKind, FactoryImage, JsonObject } from '../factory-image.ts'

export interface RecorderParts {
  readonly database: Database
  readonly records: Records
  readonly lease: Lease
  readonly mask: Mask
  readonly now: () => Date
  /** Told of each change of the status, before it is on the medium. */
  readonly onStatus: (image: FactoryImage) => void
  readonly onWritten: () => void
  /** What fails here is heard by the job when its lease ends. */
  readonly onError: (error: unknown) => void
}

interface ImageChange {
  readonly row: RowChange
  readonly documents: ReadonlyMap<DocumentKind, Uint8Array>
}

const NOTHING: ImageChange = { row: {}, documents: new Map() }

export class Recorder {
  readonly log: BuildLog
  readonly #parts: RecorderParts
  readonly #writer: RowWriter<ImageChange>
  #row: ImageRow
  #isClosed = false

  constructor(row: ImageRow, parts: RecorderParts) {
    const { records } = parts
    this.#row = row
    this.#parts = parts
    this.#writer = new RowWriter({
      ...parts,
      nothing: NOTHING,
      merge: (earlier, later) => ({
        row: { ...earlier.row, ...later.row },
        documents: new Map([...earlier.documents, ...later.documents]),
      }),
      writeIn: async (tx, change, log) => {
        await records.writeDocuments(tx, row.id, change.documents)
        await records.change(tx, row.id, change.row, log)
      },
    })
    this.log = this.#writer.log
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
    this.#writer.add({ ...NOTHING, row: shown })
    if (isNews) onStatus(this.image)
  }

  /** Adds to the properties. */
  setProperties(properties: JsonObject): void {
    const known = JSON.parse(this.#row.properties) as JsonObject
    const added = this.#parts.mask.applyTo(properties)
    this.set({ properties: JSON.stringify({ ...known, ...added }) })
  }

  keepDocument(kind: DocumentKind, content: string | Uint8Array): void {
    const shown =
      typeof content === 'string' ? Buffer.from(this.#parts.mask.apply(content)) : content
    this.#writer.add({ ...NOTHING, documents: new Map([[kind, shown]]) })
  }

  /** Writes all that waits. Fails with LEASE_LOST. */
  async write(): Promise<void> {
    await this.#writer.write()
  }

  /** Writes all that waits, and the last change of the record, together with the end of the work. */
  async end(last: RowChange, work: (tx: Tx) => Promise<void>): Promise<void> {
    await this.#writer.end({ ...NOTHING, row: last }, work)
    this.#row = { ...this.#row, ...last }
    if (last.status !== undefined) this.#parts.onStatus(this.image)
  }

  /** Writes what can be written still. */
  async close(): Promise<void> {
    await this.#writer.close()
    this.#isClosed = true
  }
}
