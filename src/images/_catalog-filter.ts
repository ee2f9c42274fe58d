/** What a listing is narrowed by, as SQL: conditions on one record, and indexes that find the few that match. */
import type { DatabaseKind } from '../database/database.ts'
import { valueKey } from './_catalog-found-by.ts'
import type { Values } from './_catalog-sort.ts'
import type { Comparison, ImageFilter } from './catalog.ts'

const SIGNS: Readonly<Record<Comparison, string>> = {
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  eq: '=',
  neq: '<>',
}
/** Numbers and times that have an index. */
const INDEXED = new Set(['size', 'created_at', 'updated_at'])

/** A bound of a number or a time, by its column. */
interface Bound {
  column: string
  comparison: Comparison
  value: number
}

/** Conditions on the record `i`, all of which must hold. What is null fulfils none of them. */
export function conditionsOf(filter: ImageFilter, kind: DatabaseKind, values: Values): string[] {
  const conditions = [`i.hidden = ${filter.hidden === true ? 1 : 0}`]
  const equal = (column: string, value: string | number | undefined) => {
    if (value !== undefined) conditions.push(`i.${column} = ${values.add(value)}`)
  }
  for (const [column, list] of Object.entries(filter.anyOf ?? {}))
    conditions.push(isAnyOf(`i.${column}`, list, values))
  for (const { column, comparison, value } of boundsOf(filter))
    conditions.push(`i.${column} ${SIGNS[comparison]} ${values.add(value)}`)
  if (filter.protected !== undefined) equal('protected', filter.protected ? 1 : 0)
  equal('owner', filter.owner)
  equal('checksum', filter.checksum)
  equal('hash_algorithm', filter.hashAlgorithm)
  equal('hash_value', filter.hashValue)
  const holds = (column: string, text: string) =>
    `${kind === 'sqlite' ? 'instr' : 'strpos'}(i.${column}, ${values.add(text)}) > 0`
  // The text of the record is a quick sieve, which odd characters may slip through; then the table decides. A
  // count is what neither database turns into a join, which would lose the order of the index.
  for (const tag of filter.tags ?? [])
    conditions.push(
      holds('tags', JSON.stringify(tag)),
      `(select count(*) from image_tags t where t.tag = ${values.add(tag)} and t.created_at = i.created_at and t.image_id = i.id) > 0`,
    )
  for (const [name, value] of Object.entries(filter.properties ?? {}))
    conditions.push(
      holds('properties', JSON.stringify({ [name]: value }).slice(1, -1)),
      `(select count(*) from image_properties p where p.name = ${values.add(name)} and p.value = ${values.add(valueKey(value))} and p.created_at = i.created_at and p.image_id = i.id) > 0`,
    )
  return conditions
}

/** A `select` of `id`, whose values are added when it is used. */
export type Find = (values: Values) => string

/** Ways to find, by an index, a set that holds all that match. */
export function waysToFind(filter: ImageFilter, kind: DatabaseKind): Find[] {
  const ways: Find[] = []
  const by = (index: string, condition: (values: Values) => string) =>
    ways.push((values) => `select id from images${hint(kind, index)} where ${condition(values)}`)
  const equal = (index: string, column: string, value: string | undefined) => {
    if (value !== undefined) by(index, (values) => `${column} = ${values.add(value)}`)
  }
  for (const [column, list] of Object.entries(filter.anyOf ?? {}))
    by(column === 'id' ? PRIMARY_KEY : `images_${column}`, (values) =>
      isAnyOf(column, list, values),
    )
  for (const column of INDEXED) {
    const bounds = boundsOf(filter).filter(
      (one) => one.column === column && one.comparison !== 'neq',
    )
    if (bounds.length > 0)
      by(`images_${column}`, (values) =>
        bounds
          .map((one) => `${column} ${SIGNS[one.comparison]} ${values.add(one.value)}`)
          .join(' and '),
      )
  }
  if (filter.protected === true) by('images_protected', () => 'protected = 1')
  if (filter.hidden === true) by('images_hidden', () => 'hidden = 1')
  equal('images_owner_created_at', 'owner', filter.owner)
  equal('images_checksum', 'checksum', filter.checksum)
  equal('images_hash_value', 'hash_value', filter.hashValue)
  for (const tag of filter.tags ?? [])
    ways.push((values) => `select image_id as id from image_tags where tag = ${values.add(tag)}`)
  for (const [name, value] of Object.entries(filter.properties ?? {}))
    ways.push(
      (values) =>
        `select image_id as id from image_properties where name = ${values.add(name)} and value = ${values.add(valueKey(value))}`,
    )
  return ways
}

/** What SQLite calls the index of the primary key of `images`. */
export const PRIMARY_KEY = 'sqlite_autoindex_images_1'

/** Names the index to SQLite, which knows too little of the data to choose; PostgreSQL knows enough. */
export function hint(kind: DatabaseKind, index: string): string {
  return kind === 'sqlite' ? ` indexed by ${index}` : ''
}

function isAnyOf(column: string, list: readonly string[], values: Values): string {
  if (list.length === 0) return '1 = 0'
  return `${column} in (${list.map((value) => values.add(value)).join(', ')})`
}

function boundsOf(filter: ImageFilter): Bound[] {
  const times = (filter.times ?? []).map(({ key, comparison, time }) => ({
    column: key,
    comparison,
    value: time.getTime(),
  }))
  const numbers = (filter.numbers ?? []).map(({ key, ...bound }) => ({ column: key, ...bound }))
  return [...times, ...numbers]
}
