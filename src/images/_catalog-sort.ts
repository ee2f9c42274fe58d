/** The order of a listing, and where in it a page begins, as SQL. */
import type { DatabaseKind } from '../database/database.ts'
import type { Sort, SortKey } from './catalog.ts'
import type { Image } from './image.ts'

/** Collects the values of a statement as its text is written. */
export class Values {
  readonly list: unknown[] = []
  readonly #sign: string

  constructor(kind: DatabaseKind) {
    this.#sign = kind === 'postgres' ? '$' : '?'
  }

  /** What stands for a value in the text. */
  add(value: unknown): string {
    this.list.push(value)
    return `${this.#sign}${this.list.length}`
  }
}

const NEWEST_FIRST: Sort = { key: 'created_at', direction: 'desc' }
/** Keys that may be null. */
export const NULLABLE: ReadonlySet<SortKey> = new Set([
  'name',
  'container_format',
  'disk_format',
  'size',
])

/** All that decides about the order: ends with `id`, names no key twice. */
export function wholeSort(sort: readonly Sort[]): readonly Sort[] {
  const keys = sort.length === 0 ? [NEWEST_FIRST] : sort
  const whole: Sort[] = []
  for (const one of [...keys, { key: 'id', direction: keys.at(-1)?.direction ?? 'asc' } as const]) {
    if (whole.at(-1)?.key === 'id') break
    if (!whole.some(({ key }) => key === one.key)) whole.push(one)
  }
  return whole
}

/** The value of a sort key as the tables have it. */
export function sortValue(image: Image, key: SortKey): string | number | null {
  const value = image[FIELDS[key]]
  return value instanceof Date ? value.getTime() : value
}

const FIELDS = {
  name: 'name',
  status: 'status',
  container_format: 'containerFormat',
  disk_format: 'diskFormat',
  size: 'size',
  id: 'id',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
} as const satisfies Record<SortKey, keyof Image>

/** `ORDER BY`, with `columnOf` naming the column of a key. */
export function orderBy(
  sort: readonly Sort[],
  kind: DatabaseKind,
  columnOf: (key: SortKey) => string = (key) => key,
): string {
  const one = ({ key, direction }: Sort) => {
    const nulls =
      kind === 'sqlite' || key === 'id' ? '' : direction === 'asc' ? ' nulls first' : ' nulls last'
    return `${columnOf(key)} ${direction}${nulls}`
  }
  return `order by ${sort.map(one).join(', ')}`
}

/** What is behind `after` in the order, as a condition on the record `i`. */
export function isBehind(sort: readonly Sort[], after: Image, values: Values): string {
  const ways: string[] = []
  for (const [n, { key, direction }] of sort.entries()) {
    const value = sortValue(after, key)
    if (direction === 'desc' && value === null) continue // nothing is behind nothing
    const same = sort
      .slice(0, n)
      .map((one) => isSame(`i.${one.key}`, sortValue(after, one.key), values))
    ways.push([...same, isBehindOne(key, direction, value, values)].join(' and '))
  }
  return `(${ways.map((way) => `(${way})`).join(' or ')})`
}

function isSame(column: string, value: string | number | null, values: Values): string {
  return value === null ? `${column} is null` : `${column} = ${values.add(value)}`
}

function isBehindOne(
  key: SortKey,
  direction: Sort['direction'],
  value: string | number | null,
  values: Values,
): string {
  const column = `i.${key}`
  if (direction === 'asc')
    return value === null ? `${column} is not null` : `${column} > ${values.add(value)}`
  const less = `${column} < ${values.add(value)}`
  return NULLABLE.has(key) ? `(${less} or ${column} is null)` : less
}

type Sorted = Partial<Record<SortKey, string | number | null>>

/** The order of two records as the database has it: nothing before all values, texts by their bytes. */
export function compare(a: Sorted, b: Sorted, sort: readonly Sort[]): number {
  for (const { key, direction } of sort) {
    const order = compareValues(a[key] ?? null, b[key] ?? null)
    if (order !== 0) return direction === 'asc' ? order : -order
  }
  return 0
}

function compareValues(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0
  if (a === null || b === null) return a === null ? -1 : 1
  if (typeof a === 'string' && typeof b === 'string')
    return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}
