/**
 * Trails: ways through the records along an index. A trail is only ever looked at in windows, stretches of so
 * many entries, and each window in one statement: it gives what fits of its entries, and its last entry, or
 * edge, behind which the next window begins. So no statement takes long, however few of the records fit.
 */
import type { DatabaseKind } from '../database/database.ts'
import { conditionsOf } from './_catalog-filter.ts'
import { isBehind, NULLABLE, orderBy, sortValue, type Values } from './_catalog-sort.ts'
import type { ImageFilter, ImageQuery, Sort, SortKey } from './catalog.ts'

export interface Trail {
  readonly table: 'images' | 'image_tags' | 'image_properties' | 'image_members'
  /** The index to take, for SQLite, which knows too little of the data to choose; PostgreSQL knows enough. */
  readonly index?: string
  /** Entries are in the order of this key of their records, then of `id`. */
  readonly key: SortKey
  /** Which entries of the index belong to it, by columns of the table. Empty: all. */
  readonly entries: (values: Values) => string
  /** Who may be seen of the records, as a condition on `i`. */
  readonly seen: (values: Values) => string
  /** What is left to be checked of the filter. */
  readonly filter: ImageFilter
}

/** A part of a trail, as a condition on the columns of its entries. Empty: all of it. */
export type Run = (columns: Columns, values: Values) => string

/** What the table of a trail calls its key and the id of the image. */
interface Columns {
  readonly key: string
  readonly id: string
}

/** What a window gives: records that fit, and the edge, which has no revision. */
export interface Entry extends Partial<Record<SortKey, string | number | null>> {
  readonly trail: number
  readonly id: string
  readonly revision: number | null
}

/** What SQLite calls the index of the primary key of `images`. */
export const PRIMARY_KEY = 'sqlite_autoindex_images_1'

const SIDE_COLUMNS = {
  image_tags: { created_at: 'created_at', id: 'image_id' },
  image_properties: { created_at: 'created_at', id: 'image_id' },
  image_members: { created_at: 'image_created_at', id: 'image_id' },
}

const isNull: Run = (of) => `${of.key} is null`

/**
 * How the order of a trail agrees with the one that is asked for: wholly; by its first key, records with the
 * same value of which come in any order; or not at all.
 */
export function orderOf(trail: Trail, sort: readonly Sort[]): 'whole' | 'first' | 'none' {
  const [first, second, ...more] = sort
  if (trail.key !== first?.key) return 'none'
  const isById =
    second === undefined || (second.key === 'id' && second.direction === first.direction)
  return isById && more.length === 0 ? 'whole' : 'first'
}

/** The direction in which a trail is walked: that of the sort, where they agree. */
export function directionOf(trail: Trail, [first]: readonly Sort[]): Sort['direction'] {
  return first?.key === trail.key ? first.direction : 'desc'
}

/** The runs of a trail in which the page may have records. */
export function firstRuns(trail: Trail, { after }: ImageQuery, sort: readonly Sort[]): Run[] {
  const order = orderOf(trail, sort)
  if (after === undefined || order === 'none') return [() => '']
  const edge = { id: after.id, value: sortValue(after, trail.key) }
  const direction = directionOf(trail, sort)
  if (order === 'whole') return runsBehind(trail, edge, direction)
  return runsFrom(trail, edge.value, direction)
}

/** The runs that are left behind an edge. None has an OR in it, which would find nothing by an index. */
export function runsBehind(
  trail: Trail,
  { value, id }: { value: string | number | null; id: string },
  direction: Sort['direction'],
): Run[] {
  const sign = direction === 'asc' ? '>' : '<'
  if (trail.key === 'id') return [(of, values) => `${of.id} ${sign} ${values.add(id)}`]
  if (value === null) {
    const rest: Run = (of, values) => `${of.key} is null and ${of.id} ${sign} ${values.add(id)}`
    return direction === 'asc' ? [rest, (of) => `${of.key} is not null`] : [rest]
  }
  const rest: Run = (of, values) =>
    `(${of.key}, ${of.id}) ${sign} (${values.add(value)}, ${values.add(id)})`
  return direction === 'desc' && NULLABLE.has(trail.key) ? [rest, isNull] : [rest]
}

/** The runs from a value of the key on, which is in them. */
function runsFrom(
  trail: Trail,
  value: string | number | null,
  direction: Sort['direction'],
): Run[] {
  if (value === null) return direction === 'asc' ? [() => ''] : [isNull]
  const sign = direction === 'asc' ? '>=' : '<='
  const rest: Run = (of, values) => `${of.key} ${sign} ${values.add(value)}`
  return direction === 'desc' && NULLABLE.has(trail.key) ? [rest, isNull] : [rest]
}

/** Where a window is, and what is asked of it. */
export interface Window {
  readonly kind: DatabaseKind
  readonly query: ImageQuery
  readonly sort: readonly Sort[]
  readonly run: Run
  /** So many entries. */
  readonly length: number
  /** What its rows are marked with. */
  readonly mark: number
}

/** A window as SQL: at most `limit` of the records in it that fit, and the edge, if the run goes on there. */
export function textOfWindow(trail: Trail, window: Window, values: Values): string {
  const { kind, query, sort, mark, length } = window
  const isDirect = trail.table === 'images' && kind === 'postgres'
  const entry = isDirect ? { key: `i.${trail.key}`, id: 'i.id' } : { key: 'w.key', id: 'w.id' }
  const order = orderOf(trail, sort)
  const source = isDirect
    ? `${entriesOf(trail, window, '*', values)} i`
    : `${entriesOf(trail, window, placesOf(trail, kind), values)} w cross join images i ${joinOf(trail, kind)}`
  const conditions = [
    ...(isDirect
      ? []
      : [kind === 'sqlite' && trail.table === 'images' ? 'i.rowid = w.place' : 'i.id = w.id']),
    trail.seen(values),
    ...conditionsOf(trail.filter, kind, values, trail.key === 'created_at' ? entry : undefined),
    order === 'whole' || query.after === undefined ? '' : isBehind(sort, query.after, values),
  ].filter(Boolean)
  const found =
    `select ${mark} as trail, i.id as id, i.revision as revision, ${columnsOf(trail, sort, (key) => `i.${key}`)} ` +
    `from ${source} where ${conditions.join(' and ')} ` +
    `${order === 'whole' ? orderOfEntries(trail, sort, kind, entry) : orderBy(sort, kind, (key) => `i.${key}`)} limit ${query.limit}`
  const edge =
    `select ${mark} as trail, e.id as id, cast(null as bigint) as revision, ${columnsOf(trail, sort, (key) => (key === trail.key ? 'e.key' : nullOf(key)))} ` +
    `from ${entriesOf(trail, { ...window, length: 1 }, placesOf(trail, 'postgres'), values, length - 1)} e`
  return `select * from (${found}) as f${mark} union all select * from (${edge}) as e${mark}`
}

/** So many entries of a trail from the beginning of a run on; the edge of a window has others before it. */
function entriesOf(
  trail: Trail,
  { kind, sort, run, length }: Pick<Window, 'kind' | 'sort' | 'run' | 'length'>,
  what: string,
  values: Values,
  before = 0,
): string {
  const of = columnsIn(trail)
  const conditions = [trail.entries(values), run(of, values)].filter(Boolean)
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  return (
    `(select ${what} from ${trail.table}${hint(trail, kind)}${where} ` +
    `${orderOfEntries(trail, sort, kind, of)} limit ${length}${before === 0 ? '' : ` offset ${before}`})`
  )
}

/** What a bounded number of entries comes to: those of a trail, but no more than `most`. */
export function countOf(trail: Trail, kind: DatabaseKind, most: number, values: Values): string {
  const where = trail.entries(values)
  return `(select count(*) from (select 1 from ${trail.table}${hint(trail, kind)}${where && ` where ${where}`} limit ${most}) as c)`
}

function hint({ index }: Trail, kind: DatabaseKind): string {
  return kind === 'sqlite' && index !== undefined ? ` indexed by ${index}` : ''
}

/** How SQLite gets from an entry to its record; it must not be tempted by what the filter says. */
function joinOf({ table }: Trail, kind: DatabaseKind): string {
  if (kind === 'postgres') return ''
  return table === 'images' ? 'not indexed' : `indexed by ${PRIMARY_KEY}`
}

function columnsIn({ table, key }: Trail): Columns {
  if (table === 'images') return { key, id: 'id' }
  return { key: SIDE_COLUMNS[table].created_at, id: SIDE_COLUMNS[table].id }
}

function placesOf(trail: Trail, kind: DatabaseKind): string {
  const { key, id } = columnsIn(trail)
  const place = kind === 'sqlite' && trail.table === 'images' ? ', rowid as place' : ''
  return `${key} as key, ${id} as id${place}`
}

function orderOfEntries(
  trail: Trail,
  sort: readonly Sort[],
  kind: DatabaseKind,
  of: Columns,
): string {
  const direction = directionOf(trail, sort)
  const keys: Sort[] = [{ key: 'id', direction }]
  if (trail.key !== 'id') keys.unshift({ key: trail.key, direction })
  return orderBy(keys, kind, (key) => (key === 'id' ? of.id : of.key))
}

/** Columns of the rows of a window: all keys by which it is sorted, and that of the trail. */
function columnsOf(trail: Trail, sort: readonly Sort[], column: (key: SortKey) => string): string {
  const keys = new Set<SortKey>(['created_at', ...sort.map(({ key }) => key), trail.key])
  keys.delete('id')
  return [...keys].map((key) => `${column(key)} as ${key}`).join(', ')
}

const NUMBERS = new Set<SortKey>(['size', 'created_at', 'updated_at'])

function nullOf(key: SortKey): string {
  return `cast(null as ${NUMBERS.has(key) ? 'bigint' : 'text'})`
}
