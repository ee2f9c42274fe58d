/**
 * Records of factory images: their queries, the same on both databases. What a transaction reads is locked by it, so that
 * `writeRows` does: what is kept beside an image is changed by those who have locked its row.
 */
import { Failure } from '../../base/failure.ts'
import type { Database, Tx } from '../../database/database.ts'
import { lockRows } from '../../database/lock-rows.ts'
import { type FactoryTables, type ImageRow, toImage } from './_factory-tables.ts'
import { appendLog, type NewEntry } from './_log-table.ts'
import type { DocumentKind, FactoryImage, FactoryStatus } from '../factory-image.ts'
import type { FactoryQuery } from '../factory.ts'

export type RowChange = Partial<Omit<ImageRow, 'id' | 'revision'>>

/** What can change of an image besides: its log. */
export interface LogChange {
  readonly entries: readonly NewEntry[]
  /** Bytes that did not come so far. */
  readonly lost?: number
}

/** Events of a log that happen now. */
export function eventsAt(at: Date, ...texts: readonly string[]): LogChange {
  return { entries: texts.map((text) => ({ at, kind: 'event', text })) }
}

/** Kept beside an image for the engine alone: the files that a recipe names. */
export const TEMPLATE_FILES = 'template-files'

const PAGE = { most: 1000, usual: 100 }

export class Records {
  readonly #database: Database
  readonly #now: () => Date
  readonly #maxLogSize: number

  constructor(database: Database, options: { now: () => Date; maxLogSize: number }) {
    this.#database = database
    this.#now = options.now
    this.#maxLogSize = options.maxLogSize
  }

  async find(id: string, tx?: Tx): Promise<ImageRow | undefined> {
    const select = this.#tables(tx).selectFrom('factory_images').selectAll().where('id', '=', id)
    return await (tx ? lockRows(tx, select) : select).executeTakeFirst()
  }

  /** Fails with BUILD_NOT_FOUND. */
  async demand(id: string, tx?: Tx): Promise<ImageRow> {
    const row = await this.find(id, tx)
    if (row !== undefined) return row
    throw new Failure('BUILD_NOT_FOUND', `no factory image ${id}`, { details: { id } })
  }

  async list(query: FactoryQuery): Promise<FactoryImage[]> {
    let select = this.#tables().selectFrom('factory_images').selectAll()
    if (query.type !== undefined) select = select.where('type', '=', query.type)
    if (query.owner === null) select = select.where('owner', 'is', null)
    else if (query.owner !== undefined) select = select.where('owner', '=', query.owner)
    if (query.status !== undefined) select = select.where('status', '=', query.status)
    if (query.parentId !== undefined) select = select.where('parent_id', '=', query.parentId)
    if (query.target !== undefined) select = select.where('target', '=', query.target)
    if (query.name !== undefined) select = select.where('name', '=', query.name)
    if (query.after) {
      const { id, createdAt } = query.after
      const time = createdAt.getTime()
      select = select.where(({ eb, or, and }) =>
        or([eb('created_at', '<', time), and([eb('created_at', '=', time), eb('id', '<', id)])]),
      )
    }
    const limit = Math.max(1, Math.min(query.limit ?? PAGE.usual, PAGE.most))
    const rows = await select
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return rows.map(toImage)
  }

  async insert(tx: Tx, row: ImageRow): Promise<void> {
    await tx.as<FactoryTables>().insertInto('factory_images').values(row).execute()
  }

  /** Changes a record, and adds to its log. Gives it as it is then. Fails with BUILD_NOT_FOUND. */
  async change(tx: Tx, id: string, change: RowChange, log?: LogChange): Promise<ImageRow> {
    const counts =
      log && (log.entries.length > 0 || log.lost)
        ? await appendLog(tx, id, log.entries, await this.demand(id, tx), {
            maxSize: this.#maxLogSize,
            now: this.#now(),
            ...(log.lost !== undefined && { lost: log.lost }),
          })
        : {}
    const isShown = Object.keys(change).length > 0
    const row = await tx
      .as<FactoryTables>()
      .updateTable('factory_images')
      .set(({ eb }) => ({
        ...counts,
        ...change,
        ...(isShown && { revision: eb('revision', '+', 1), updated_at: this.#now().getTime() }),
        id,
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    return row ?? (await this.demand(id, tx))
  }

  /** Adds events to a log, whoever is at work. */
  async tell(id: string, ...texts: readonly string[]): Promise<void> {
    await this.#database.writeRows((tx) => this.change(tx, id, {}, eventsAt(this.#now(), ...texts)))
  }

  /**
   * What is made of an image, so far as it is in one of these states. Whoever makes more of it locks its row first, so
   * that nothing is added while that is locked here.
   */
  async children(
    parentId: string,
    statuses: readonly FactoryStatus[],
    tx: Tx,
  ): Promise<ImageRow[]> {
    const select = this.#tables(tx)
      .selectFrom('factory_images')
      .selectAll()
      .where('parent_id', '=', parentId)
      .where('status', 'in', statuses)
      .orderBy('id')
    return await lockRows(tx, select).execute()
  }

  /** Those that failed because another one did. */
  async failedBy(id: string, tx: Tx): Promise<ImageRow[]> {
    return (await this.children(id, ['FAILED'], tx)).filter((row) => row.failed_by !== null)
  }

  async sharesBody(bodyId: string, tx: Tx): Promise<boolean> {
    const other = await this.#tables(tx)
      .selectFrom('factory_images')
      .select('id')
      .where('body_id', '=', bodyId)
      .executeTakeFirst()
    return other !== undefined
  }

  /** Removes a record, and all that is kept beside it. */
  async remove(tx: Tx, id: string): Promise<void> {
    const tables = tx.as<FactoryTables>()
    await tables.deleteFrom('factory_documents').where('image_id', '=', id).execute()
    await tables.deleteFrom('factory_log').where('image_id', '=', id).execute()
    await tables.deleteFrom('factory_images').where('id', '=', id).execute()
  }

  async readDocument(
    id: string,
    kind: DocumentKind | typeof TEMPLATE_FILES,
  ): Promise<Uint8Array | undefined> {
    const row = await this.#tables()
      .selectFrom('factory_documents')
      .select('bytes')
      .where('image_id', '=', id)
      .where('kind', '=', kind)
      .executeTakeFirst()
    return row && new Uint8Array(row.bytes)
  }

  async writeDocuments(
    tx: Tx,
    id: string,
    documents: ReadonlyMap<DocumentKind | typeof TEMPLATE_FILES, Uint8Array>,
  ): Promise<void> {
    if (documents.size === 0) return
    const rows = [...documents].map(([kind, content]) => ({
      image_id: id,
      kind,
      bytes: Buffer.from(content),
    }))
    await tx
      .as<FactoryTables>()
      .insertInto('factory_documents')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .columns(['image_id', 'kind'])
          .doUpdateSet(({ ref }) => ({ bytes: ref('excluded.bytes') })),
      )
      .execute()
  }

  #tables(tx?: Tx) {
    return tx ? tx.as<FactoryTables>() : this.#database.read<FactoryTables>()
  }
}
