/**
 * Ways to what a filter lets through: for each of its conditions that has an index, trails that hold all that
 * fulfil it, whoever may see them. One of them is taken where it is much shorter than the arms of the viewer.
 */
import { seenByAny } from './_catalog-arms.ts'
import { boundsOf, isAnyOf, isProperty, SIGNS } from './_catalog-filter.ts'
import type { Values } from './_catalog-sort.ts'
import { PRIMARY_KEY, type Trail } from './_catalog-trail.ts'
import type { ImageFilter, ImageQuery, Sort, SortKey } from './catalog.ts'

/** Trails that are walked together. */
export type Way = readonly Trail[]

/** Of several names or statuses each has a trail of its own, but not for more of them than this. */
const MOST_TRAILS = 16

export function waysOf({ viewer, filter }: ImageQuery, [first]: readonly Sort[]): Way[] {
  const seen = (values: Values) => seenByAny(viewer, filter, values)
  const trail = (
    index: string,
    key: SortKey,
    entries: Trail['entries'],
    parts: Partial<Trail> = {},
  ): Trail => ({ table: 'images', index, key, entries, seen, filter, ...parts })
  const equal = (column: string, value: string) => {
    const isSorted = column === first?.key && column !== 'id'
    return trail(
      isSorted ? `images_${column}` : `images_${column}_created_at`,
      isSorted ? first.key : 'created_at',
      (values) => `${column} = ${values.add(value)}`,
    )
  }
  const { id, name, status, disk_format, container_format } = filter.anyOf ?? {}
  const ways: Way[] = []
  if (id !== undefined) ways.push([trail(PRIMARY_KEY, 'id', (values) => isAnyOf('id', id, values))])
  for (const [column, list] of Object.entries({ name, status }))
    if (list !== undefined && list.length <= MOST_TRAILS)
      ways.push(list.map((one) => equal(column, one)))
  for (const [column, list] of [
    ['disk_format', disk_format],
    ['container_format', container_format],
  ] as const)
    if (list !== undefined && list.length <= MOST_TRAILS)
      ways.push(
        list.map((one) =>
          trail(
            `images_${column}`,
            column === first?.key ? column : 'id',
            (values) => `${column} = ${values.add(one)}`,
          ),
        ),
      )
  for (const [column, value] of [
    ['owner', filter.owner],
    ['checksum', filter.checksum],
    ['hash_value', filter.hashValue],
    ['visibility', filter.visibility === 'all' ? undefined : filter.visibility],
  ] as const)
    if (value !== undefined) ways.push([equal(column, value)])
  for (const column of ['protected', 'hidden'] as const)
    if (filter[column] === true)
      ways.push([trail(`images_${column}`, 'created_at', () => `${column} = 1`)])
  for (const key of ['size', 'created_at', 'updated_at'] as const) {
    const bounds = boundsOf(filter).filter((one) => one.column === key && one.comparison !== 'neq')
    const entries = (values: Values) =>
      bounds.map((one) => `${key} ${SIGNS[one.comparison]} ${values.add(one.value)}`).join(' and ')
    if (bounds.length > 0) ways.push([trail(`images_${key}`, key, entries)])
  }
  return [...ways, ...sideWays(filter, seen)]
}

/** By tags and by properties, whose own check is done by that. */
function sideWays(filter: ImageFilter, seen: Trail['seen']): Way[] {
  const { tags = [], properties = {} } = filter
  const byTags = tags.map((tag): Way => {
    const left = { ...filter, tags: tags.filter((one) => one !== tag) }
    const entries = (values: Values) => `tag = ${values.add(tag)}`
    return [{ table: 'image_tags', key: 'created_at', entries, seen, filter: left }]
  })
  const byProperties = Object.entries(properties).map(([name, value]): Way => {
    const { [name]: _, ...others } = properties
    const left = { ...filter, properties: others }
    const entries = (values: Values) => isProperty(name, value, values)
    return [{ table: 'image_properties', key: 'created_at', entries, seen, filter: left }]
  })
  return [...byTags, ...byProperties]
}
