import type { WireImage } from '../../api/client.ts'
import { formatSize } from '../../base/units.ts'
import { formatTable } from '../_table.ts'

/** Fields that every image has, in the order in which people want them. */
const FIRST = ['id', 'name', 'status', 'visibility', 'owner', 'disk_format', 'container_format']
const SIZES: ReadonlySet<string> = new Set(['size', 'virtual_size'])
const HIDDEN: ReadonlySet<string> = new Set(['self', 'file', 'schema', 'direct_url', 'locations'])

/** A table of images. */
export function formatImages(images: readonly WireImage[]): string {
  const rows = images.map(({ id, name, status, visibility, disk_format: format, size }) => [
    id,
    name ?? '',
    status,
    visibility,
    format ?? '',
    size === null ? '' : formatSize(size),
  ])
  return formatTable(['id', 'name', 'status', 'visibility', 'format', 'size'], rows)
}

/** Everything about one image, a line each. */
export function formatImage(image: WireImage): string {
  const rest = Object.keys(image).filter((key) => !FIRST.includes(key) && !HIDDEN.has(key))
  const rows = [...FIRST, ...rest.toSorted()]
    .map((key) => [key, image[key]] as const)
    .filter(([, value]) => !isEmpty(value))
    .map(([key, value]) => [key, formatValue(key, value)])
  return formatTable(['field', 'value'], rows)
}

function formatValue(key: string, value: unknown): string {
  if (typeof value === 'number' && SIZES.has(key)) return `${value} (${formatSize(value)})`
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  return value === null || value === undefined || value === ''
}
