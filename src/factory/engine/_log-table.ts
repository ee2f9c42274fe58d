/** The log of a build in the database: of what is too much the middle is dropped, and in its place stands how much. */
import type { Database, Tx } from '../../database/database.ts'
import type { LogEntry, LogKind } from '../build-log.ts'
import { type FactoryTables, type ImageRow, toEntry } from './_factory-tables.ts'

export interface NewEntry {
  readonly at: Date
  readonly kind: LogKind
  readonly text: string
}

export type LogCounts = Pick<ImageRow, 'log_end' | 'log_size' | 'log_head' | 'log_lost'>

const DEFAULT_PAGE = 1000
const MAX_PAGE = 10_000
/** So many bytes at most come with one page: an entry is 64 KiB at most. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Rows of one statement: SQLite counts its parameters. */
const ROWS = 500

/**
 * Adds entries, and gives the counts that the image's row must then have: the caller writes them, in the same
 * transaction in which it read `counts`. `lost`: bytes that were dropped before they came here.
 */
export async function appendLog(
  tx: Tx,
  imageId: string,
  entries: readonly NewEntry[],
  counts: LogCounts,
  options: { readonly maxSize: number; readonly now: Date; readonly lost?: number },
): Promise<LogCounts> {
  const tables = tx.as<FactoryTables>()
  let { log_end: end, log_size: size, log_head: head, log_lost: lost } = counts
  const rows = entries.map(({ at, kind, text }) => {
    const row = {
      image_id: imageId,
      sequence: (end += 1),
      at: at.getTime(),
      kind,
      size: Buffer.byteLength(text),
      text,
    }
    size += row.size
    if (head === 0 && size > options.maxSize / 2) {
      head = row.sequence
      end += 1 // kept free: there it will be told what was dropped
    }
    return row
  })
  for (let from = 0; from < rows.length; from += ROWS)
    await tables
      .insertInto('factory_log')
      .values(rows.slice(from, from + ROWS))
      .execute()
  lost += options.lost ?? 0
  if (size > options.maxSize) {
    const dropped = await dropMiddle(tx, imageId, head, size - options.maxSize * 0.75)
    size -= dropped
    lost += dropped
  }
  if (lost > counts.log_lost) {
    if (head === 0) {
      head = end
      end += 1
    }
    await tellLost(tx, imageId, head, { lost, at: options.now })
  }
  return { log_end: end, log_size: size, log_head: head, log_lost: lost }
}

/** Of a page for somebody who follows: it is held until they have taken it, and there may be a thousand of them. */
export const FOLLOWED = { limit: 100, bytes: 64 * 1024 } as const

/**
 * Entries after `after`, in their order. A page may be shorter than `limit` before the end; none is empty. With
 * `maxBytes` infinite nobody asks how long they are.
 */
export async function readLog(
  database: Database,
  imageId: string,
  after = 0,
  limit = DEFAULT_PAGE,
  maxBytes = PAGE_BYTES,
): Promise<LogEntry[]> {
  const most = Math.max(1, Math.min(limit, MAX_PAGE))
  const page = { after, most }
  const last =
    maxBytes === Infinity ? undefined : await endOfPage(database, imageId, page, maxBytes)
  if (last === null) return []
  let select = database
    .read<FactoryTables>()
    .selectFrom('factory_log')
    .select(['sequence', 'at', 'kind', 'size', 'text'])
    .where('image_id', '=', imageId)
    .where('sequence', '>', after)
  if (last !== undefined) select = select.where('sequence', '<=', last)
  const rows = await select.orderBy('sequence').limit(most).execute()
  return rows.map(toEntry)
}

/** The last entry of those that fit into `maxBytes`, at least one; null if there is none. */
async function endOfPage(
  database: Database,
  imageId: string,
  { after, most }: { readonly after: number; readonly most: number },
  maxBytes: number,
): Promise<number | null> {
  const sizes = await database
    .read<FactoryTables>()
    .selectFrom('factory_log')
    .select(['sequence', 'size'])
    .where('image_id', '=', imageId)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(most)
    .execute()
  let bytes = 0
  const fitting = sizes.filter((one, index) => (bytes += one.size) <= maxBytes || index === 0)
  return fitting.at(-1)?.sequence ?? null
}

/** Drops the oldest entries behind the beginning, and the place where that is told. */
async function dropMiddle(tx: Tx, imageId: string, head: number, wanted: number): Promise<number> {
  const tables = tx.as<FactoryTables>()
  const rows = await tables
    .selectFrom('factory_log')
    .select(['sequence', 'size'])
    .where('image_id', '=', imageId)
    .where('sequence', '>', head + 1)
    .orderBy('sequence')
    .execute()
  let dropped = 0
  let last = head + 1
  for (const { sequence, size } of rows) {
    if (dropped >= wanted) break
    dropped += size
    last = sequence
  }
  await tables
    .deleteFrom('factory_log')
    .where('image_id', '=', imageId)
    .where('sequence', '>', head + 1)
    .where('sequence', '<=', last)
    .execute()
  return dropped
}

async function tellLost(
  tx: Tx,
  imageId: string,
  head: number,
  { lost, at }: { lost: number; at: Date },
): Promise<void> {
  const text = `… ${lost} bytes of the log were dropped here …`
  const told = { kind: 'event' as const, size: 0, text }
  await tx
    .as<FactoryTables>()
    .insertInto('factory_log')
    .values({ image_id: imageId, sequence: head + 1, at: at.getTime(), ...told })
    .onConflict((conflict) => conflict.columns(['image_id', 'sequence']).doUpdateSet(told))
    .execute()
}
