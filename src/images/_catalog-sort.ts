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
const NULLABLE = new Set<SortKey>(['name', 'container_format', 'disk_format', 'size'])

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

/**
 * What is behind `after`, as conditions of which each finds a run of the order by an index: none has an OR in
 * it. The runs follow each other, and no image is in two. Without `after`: one that holds for all.
 */
export function runsBehind(
  sort: readonly Sort[],
  after: Image | undefined,
  values: Values,
  columnOf: (key: SortKey) => string = (key) => key,
): string[] {
  if (after === undefined) return ['']
  const runs: string[] = []
  // the longest way in common with `after` first
  for (let common = sort.length - 1; common >= 0; common--) {
    const same = sort
      .slice(0, common)
      .map(({ key }) => isSame(columnOf(key), sortValue(after, key), values))
    for (const behind of behindOne(sort[common] ?? NEWEST_FIRST, after, values, columnOf))
      runs.push([...same, behind].join(' and '))
  }
  return runs
}

function isSame(column: string, value: string | number | null, values: Values): string {
  return value === null ? `${column} is null` : `${column} = ${values.add(value)}`
}

function behindOne(
  { key, direction }: Sort,
  after: Image,
  values: Values,
  columnOf: (key: SortKey) => string,
): string[] {
  const column = columnOf(key)
  const value = sortValue(after, key)
  if (direction === 'asc')
    return [value === null ? `${column} is not null` : `${column} > ${values.add(value)}`]
  if (value === null) return []
  const less = `${column} < ${values.add(value)}`
  return NULLABLE.has(key) ? [less, `${column} is null`] : [less]
}
