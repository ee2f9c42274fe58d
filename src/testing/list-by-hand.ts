/** What a listing of the catalog must be, worked out record by record. */
import type { ImageFilter, ImageQuery, Sort } from '../images/catalog.ts'
import type { Image, Member } from '../images/image.ts'

/** Of these records, those that `query` asks for, in its order, however many. */
export function listByHand(
  images: readonly Image[],
  members: readonly Member[],
  query: ImageQuery,
): Image[] {
  const { sort } = query
  const found = images.filter((image) => isSeen(image, members, query) && fits(image, query.filter))
  const last = sort.at(-1)?.direction ?? 'desc'
  const keys: readonly Sort[] =
    sort.length === 0 ? [{ key: 'created_at', direction: 'desc' }] : sort
  return found.toSorted((a, b) => {
    for (const { key, direction } of [...keys, { key: 'id' as const, direction: last }]) {
      const order = compare(columnOf(a, key), columnOf(b, key))
      if (order !== 0) return direction === 'asc' ? order : -order
    }
    return 0
  })
}

function isSeen(image: Image, members: readonly Member[], { viewer, filter }: ImageQuery): boolean {
  const { visibility, memberStatus = 'accepted' } = filter
  const isOwn = viewer.project !== null && image.owner === viewer.project
  if (visibility !== undefined && visibility !== 'all' && image.visibility !== visibility)
    return false
  if (visibility === undefined && image.visibility === 'community' && !isOwn) return false
  if (viewer.all || isOwn || ['public', 'community'].includes(image.visibility)) return true
  return (
    image.visibility === 'shared' &&
    members.some(
      ({ imageId, member, status }) =>
        imageId === image.id &&
        member === viewer.project &&
        (memberStatus === 'all' || status === memberStatus),
    )
  )
}

function fits(image: Image, filter: ImageFilter): boolean {
  return (
    image.hidden === (filter.hidden ?? false) &&
    isAnyOf(image.id, filter.anyOf?.id) &&
    isAnyOf(image.name, filter.anyOf?.name) &&
    isAnyOf(image.status, filter.anyOf?.status) &&
    isAnyOf(image.diskFormat, filter.anyOf?.disk_format) &&
    (filter.times ?? []).every(({ key, comparison: sign, time }) =>
      holds(columnOf(image, key), sign, time.getTime()),
    ) &&
    (filter.numbers ?? []).every(({ key, comparison: sign, value }) =>
      holds(key === 'size' ? image.size : image.minDiskGiB, sign, value),
    ) &&
    (filter.tags ?? []).every((tag) => image.tags.includes(tag)) &&
    is(image.protected, filter.protected) &&
    is(image.owner, filter.owner) &&
    is(image.checksum, filter.checksum) &&
    is(image.hashValue, filter.hashValue) &&
    Object.entries(filter.properties ?? {}).every(([key, value]) => image.properties[key] === value)
  )
}

function isAnyOf(value: string | null, list: readonly string[] | undefined): boolean {
  return list === undefined || (value !== null && list.includes(value))
}

function is(value: unknown, wanted: unknown): boolean {
  return wanted === undefined || value === wanted
}

function holds(value: number | string | null, sign: string, wanted: number): boolean {
  if (value === null) return false
  const order = compare(value, wanted)
  if (sign === 'eq') return order === 0
  if (sign === 'neq') return order !== 0
  return (sign.startsWith('g') ? order > 0 : order < 0) || (sign.endsWith('e') && order === 0)
}

function columnOf(image: Image, key: Sort['key']): string | number | null {
  const columns = {
    id: image.id,
    name: image.name,
    status: image.status,
    size: image.size,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
    created_at: image.createdAt.getTime(),
    updated_at: image.updatedAt.getTime(),
  }
  return columns[key]
}

/** Nothing before all values; texts by their bytes. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null) || 0
  if (typeof a === 'number' || typeof b === 'number') return Number(a) - Number(b)
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
