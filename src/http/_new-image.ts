import type { Target } from '../access/caller.ts'
import { Failure } from '../base/failure.ts'
import { KiB } from '../base/units.ts'
import type { TSchema } from 'typebox'
import { countCharacters, findFaults } from '../schema/find-faults.ts'
import type { Visibility } from '../images/image.ts'
import type { NewImage } from '../images/images.ts'
import { checkAllowed, type Visit } from './_door.ts'

/** Fields that only the service sets. */
const READ_ONLY: ReadonlySet<string> = new Set([
  'created_at', 'updated_at', 'status', 'checksum', 'size', 'virtual_size', 'direct_url', 'self',
  'file', 'schema', 'os_hash_algo', 'os_hash_value', 'stores',
]) // prettier-ignore
const RESERVED: ReadonlySet<string> = new Set(['location', 'deleted', 'deleted_at'])
const RESERVED_PREFIX = 'os_glance'
/** Fields of the record that requests may set; what is neither of these is a property. */
const SETTABLE: ReadonlySet<string> = new Set([
  'id', 'name', 'visibility', 'protected', 'os_hidden', 'owner', 'container_format', 'disk_format',
  'min_ram', 'min_disk', 'tags', 'locations',
]) // prettier-ignore
export const MAX_KEY = 255
/** Of the value of a property. Source: the column that Glance keeps them in. */
const MAX_VALUE = 65_535
/** Of all properties of an image: a page of a thousand such images still fits into memory. */
const MAX_PROPERTY_TEXT = 128 * KiB

/** Whether a name is one of the record's own, not of a property. */
export function isField(name: string): boolean {
  return SETTABLE.has(name) || READ_ONLY.has(name)
}

/** Fails with FORBIDDEN when requests may not set it. */
export function checkWritable(name: string): void {
  if (READ_ONLY.has(name)) throw new Failure('FORBIDDEN', `attribute '${name}' is read-only`)
  if (RESERVED.has(name) || name.startsWith(RESERVED_PREFIX))
    throw new Failure('FORBIDDEN', `attribute '${name}' is reserved`)
}

/** Fails with REQUEST_INVALID, all faults at once. */
export function checkFields(checks: TSchema, body: Readonly<Record<string, unknown>>): void {
  const faults = findFaults(checks, body).map(
    ({ path, message }) => `${path.length > 0 ? `${path.join('/')}: ` : ''}${message}`,
  )
  for (const [key, value] of Object.entries(body)) {
    const length = key.length > MAX_KEY ? countCharacters(key) : key.length
    if (length === 0 || length > MAX_KEY)
      faults.push(`the name of a property has 1 to ${MAX_KEY} characters, found ${length}`)
    if (key === '__proto__') faults.push('no property can be called __proto__')
    if (typeof value === 'string' && value.length > MAX_VALUE)
      faults.push(`${key}: wanted at most ${MAX_VALUE} characters, found ${value.length}`)
  }
  if (faults.length > 0)
    throw new Failure('REQUEST_INVALID', `this is no image: ${faults.join('; ')}`, {
      details: { faults },
    })
}

/** Fails with LIMIT_EXCEEDED when there are more than `maximum`, unless that is negative. */
export function checkCount(what: string, count: number, maximum: number): void {
  if (maximum < 0 || count <= maximum) return
  throw new Failure('LIMIT_EXCEEDED', `an image has at most ${maximum} ${what}, found ${count}`, {
    details: { attempted: count, maximum },
  })
}

/** Fails with LIMIT_EXCEEDED when names and values of all properties are too long together. */
export function checkPropertyText(properties: Iterable<readonly [string, string]>): void {
  let length = 0
  for (const [name, value] of properties) length += name.length + value.length
  if (length <= MAX_PROPERTY_TEXT) return
  throw new Failure(
    'LIMIT_EXCEEDED',
    `the properties of an image have at most ${MAX_PROPERTY_TEXT} characters, found ${length}`,
    { details: { attempted: length, maximum: MAX_PROPERTY_TEXT } },
  )
}

/**
 * The new image that a request's body describes, with all that it leaves out.
 * Fails with FORBIDDEN, REQUEST_INVALID, LIMIT_EXCEEDED.
 */
export function parseNewImage(
  body: Readonly<Record<string, unknown>>,
  { caller, service }: Pick<Visit, 'caller' | 'service'>,
  checks: TSchema,
): NewImage {
  const { image: limits } = service.config
  for (const name of Object.keys(body)) checkWritable(name)
  if ('locations' in body)
    throw new Failure('FORBIDDEN', 'locations are added to an image that is there')
  checkFields(checks, body)
  const properties = propertiesOf(body)
  const tags = [...new Set((body['tags'] ?? []) as readonly string[])].sort()
  checkCount('properties', Object.keys(properties).length, limits.max_properties)
  checkCount('tags', tags.length, limits.max_tags)
  checkPropertyText(Object.entries(properties))
  const given = body as Partial<WireNewImage>
  return {
    id: given.id ?? service.context.newId(),
    name: given.name ?? null,
    visibility: given.visibility ?? 'shared',
    protected: given.protected ?? false,
    hidden: given.os_hidden ?? false,
    owner: given.owner === undefined ? caller.projectId : given.owner,
    containerFormat: given.container_format ?? null,
    diskFormat: given.disk_format ?? null,
    minRamMiB: given.min_ram ?? 0,
    minDiskGiB: given.min_disk ?? 0,
    tags,
    properties,
  }
}

interface WireNewImage {
  id: string
  name: string | null
  visibility: Visibility
  protected: boolean
  os_hidden: boolean
  owner: string | null
  container_format: string | null
  disk_format: string | null
  min_ram: number
  min_disk: number
}

/** Properties that have no value are not there. */
function propertiesOf(body: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(body).filter(
      (entry): entry is [string, string] => !isField(entry[0]) && entry[1] !== null,
    ),
  )
}

/** Whether the caller may create this. Fails with FORBIDDEN. */
export function checkNewImage(image: NewImage, visit: Pick<Visit, 'caller' | 'service'>): void {
  const { caller, service } = visit
  if (image.owner !== caller.projectId && !caller.isAdmin)
    throw new Failure('FORBIDDEN', `you may not create images owned by ${image.owner}`)
  const target = {
    project_id: caller.projectId,
    owner: image.owner,
    visibility: image.visibility,
  }
  checkAllowed(visit, 'add_image', target)
  checkVisibility(image.visibility, { ...target, project_id: image.owner }, visit)
  for (const name of Object.keys(image.properties))
    if (service.protections.active && !service.protections.allows('create', name, caller))
      throw new Failure('FORBIDDEN', `property '${name}' is protected`)
}

/** Whether the caller may give an image this visibility. Fails with FORBIDDEN. */
export function checkVisibility(
  visibility: Visibility,
  target: Target,
  visit: Pick<Visit, 'caller' | 'service'>,
): void {
  if (visibility === 'public') checkAllowed(visit, 'publicize_image', target)
  if (visibility === 'community') checkAllowed(visit, 'communitize_image', target)
}
