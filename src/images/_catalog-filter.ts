/** What a listing is narrowed by, as conditions on one record. */
import type { DatabaseKind } from '../database/database.ts'
import { valueKey } from './_catalog-found-by.ts'
import type { Values } from './_catalog-sort.ts'
import type { Comparison, ImageFilter } from './catalog.ts'

export const SIGNS: Readonly<Record<Comparison, string>> = {
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  eq: '=',
  neq: '<>',
}
/** A bound of a number or a time, by its column. */
interface Bound {
  column: string
  comparison: Comparison
  value: number
}

/**
 * Conditions on the record `i`, all of which must hold. What is null fulfils none of them. `entry` names id and
 * time of its creation where they are known before the record is read: tags and properties need no more.
 */
export function conditionsOf(
  filter: ImageFilter,
  kind: DatabaseKind,
  values: Values,
  entry?: { readonly id: string; readonly key: string },
): string[] {
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
  // The text of a record is a quick sieve, which odd characters may slip through; then the table decides. A
  // count is what neither database turns into a join, which would lose the order of the index.
  const sieve = (column: string, text: string) => {
    const holds = kind === 'sqlite' ? 'instr' : 'strpos'
    if (entry === undefined) conditions.push(`${holds}(i.${column}, ${values.add(text)}) > 0`)
  }
  const has = (table: string, condition: string) => {
    const { key, id } = entry ?? { key: 'i.created_at', id: 'i.id' }
    conditions.push(
      `(select count(*) from ${table} t where ${condition} and t.created_at = ${key} and t.image_id = ${id}) > 0`,
    )
  }
  for (const tag of filter.tags ?? []) {
    sieve('tags', JSON.stringify(tag))
    has('image_tags', `t.tag = ${values.add(tag)}`)
  }
  for (const [name, value] of Object.entries(filter.properties ?? {})) {
    sieve('properties', JSON.stringify({ [name]: value }).slice(1, -1))
    has('image_properties', isProperty(name, value, values, 't.'))
  }
  return conditions
}

export function isAnyOf(column: string, list: readonly string[], values: Values): string {
  if (list.length === 0) return '1 = 0'
  return `${column} in (${list.map((value) => values.add(value)).join(', ')})`
}

export function boundsOf(filter: ImageFilter): Bound[] {
  const times = (filter.times ?? []).map(({ key, comparison, time }) => ({
    column: key,
    comparison,
    value: time.getTime(),
  }))
  const numbers = (filter.numbers ?? []).map(({ key, ...bound }) => ({ column: key, ...bound }))
  return [...times, ...numbers]
}

/** A condition on rows of `image_properties`. */
export function isProperty(name: string, value: string, values: Values, of = ''): string {
  return `${of}name = ${values.add(name)} and ${of}value = ${values.add(valueKey(value))}`
}
