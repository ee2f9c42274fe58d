/** How many images there are of each status and visibility: a walk through an index that has both, some entries at a time. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { CatalogTables, ImageRow } from './_catalog-tables.ts'
import type { ImageCount } from './catalog.ts'

/** Entries of one statement: some milliseconds, after which others have their turn. */
const WINDOW = 10_000

type Place = Pick<ImageRow, 'status' | 'visibility' | 'id'>

export async function countImages(
  db: Kysely<CatalogTables>,
  window: number = WINDOW,
): Promise<ImageCount[]> {
  const counts = new Map<string, ImageCount>()
  for (let after: Place | undefined; ;) {
    const rows = await countWindow(db, after, window)
    for (const { status, visibility, count } of rows) {
      const key = `${status} ${visibility}`
      counts.set(key, { status, visibility, count: count + (counts.get(key)?.count ?? 0) })
    }
    after = rows.at(-1)
    if (rows.reduce((sum, { count }) => sum + count, 0) < window) return [...counts.values()]
    await nextTurn()
  }
}

/** Of the entries behind a place; the last row ends where the window does. */
async function countWindow(db: Kysely<CatalogTables>, after: Place | undefined, window: number) {
  let entries = db.selectFrom('images').select(['status', 'visibility', 'id'])
  if (after !== undefined)
    entries = entries.where(
      sql<boolean>`(status, visibility, id) > (${after.status}, ${after.visibility}, ${after.id})`,
    )
  const seen = entries.orderBy('status').orderBy('visibility').orderBy('id').limit(window)
  return await db
    .selectFrom(seen.as('seen'))
    .select(({ fn }) => [
      'status',
      'visibility',
      fn.countAll<number>().as('count'),
      fn.max('id').as('id'),
    ])
    .groupBy(['status', 'visibility'])
    .orderBy('status')
    .orderBy('visibility')
    .execute()
}
