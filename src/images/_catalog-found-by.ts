/** The rows by which records are found: tags, properties, locations. Written as the record changes. */
import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { CatalogTables, LocationRow, PropertyRow, TagRow } from './_catalog-tables.ts'
import type { Image } from './image.ts'

const LONGEST_VALUE = 255
const DIGEST = 'sha256:'
/** Of what one statement writes: far below what either database takes. */
const ROWS_AT_ONCE = 100

/** What stands for a property's value where it is looked for: an index takes no long texts. */
export function valueKey(value: string): string {
  const isShort = value.length <= LONGEST_VALUE && !value.startsWith(DIGEST)
  return isShort ? value : `${DIGEST}${digest(value)}`
}

/** What stands for an object of a store. */
export function objectKey(store: string, key: string): string {
  return digest(`${store}\0${key}`)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** Makes the rows of `before` those of `after`; undefined: there is no record then. */
export async function writeFoundBy(
  db: Transaction<CatalogTables>,
  before: Image | undefined,
  after: Image | undefined,
): Promise<void> {
  for (const { table, rowsOf } of FOUND_BY) {
    const old = before === undefined ? [] : rowsOf(before)
    const made = after === undefined ? [] : rowsOf(after)
    if (old.length === 0 && made.length === 0) continue
    for (const rows of chunks(without(old, made)))
      await db
        .deleteFrom(table)
        .where((eb) => eb.or(rows.map((row) => eb.and(row as object))))
        .execute()
    for (const rows of chunks(without(made, old))) await db.insertInto(table).values(rows).execute()
  }
}

type FoundByRow = TagRow | PropertyRow | LocationRow
type FoundByTable = 'image_tags' | 'image_properties' | 'image_locations'

const FOUND_BY: readonly { table: FoundByTable; rowsOf: (image: Image) => FoundByRow[] }[] = [
  {
    table: 'image_tags',
    rowsOf: ({ id, createdAt, tags }) =>
      tags.map((tag) => ({ tag, created_at: createdAt.getTime(), image_id: id })),
  },
  {
    table: 'image_properties',
    rowsOf: ({ id, createdAt, properties }) =>
      Object.entries(properties).map(([name, value]) => ({
        name,
        value: valueKey(value),
        created_at: createdAt.getTime(),
        image_id: id,
      })),
  },
  {
    table: 'image_locations',
    rowsOf: ({ locations }) =>
      locations.map((location) => ({
        object: objectKey(location.store, location.key),
        location_id: location.id,
      })),
  },
]

/** The rows that are not among the others. */
function without(rows: readonly FoundByRow[], others: readonly FoundByRow[]): FoundByRow[] {
  const known = new Set(others.map((row) => JSON.stringify(row)))
  return rows.filter((row) => !known.has(JSON.stringify(row)))
}

function* chunks(rows: readonly FoundByRow[]): Generator<readonly FoundByRow[]> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) yield rows.slice(at, at + ROWS_AT_ONCE)
}
