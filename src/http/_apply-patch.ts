import type { TSchema } from 'typebox'
import type { PropertyAction } from '../access/protections.ts'
import { Failure } from '../base/failure.ts'
import type { ImageChange } from '../images/catalog.ts'
import type { Image } from '../images/image.ts'
import type { PatchDialect, PatchStep } from './_json-patch.ts'
import { checkCount, checkFields, checkPropertyText, checkWritable, isField } from './_new-image.ts'

/** What a patch may do, besides its syntax. */
export interface PatchRules {
  readonly dialect: PatchDialect
  /** The schema of the fields of images. */
  readonly checks: TSchema
  readonly isAdmin: boolean
  readonly maxProperties: number
  readonly maxTags: number
  /** Whether the caller may do this to the property. */
  mayTouch(action: PropertyAction, property: string): boolean
}

/** Fields that patches set, as the record calls them. */
const FIELDS: Readonly<Record<string, keyof ImageChange>> = {
  name: 'name',
  visibility: 'visibility',
  protected: 'protected',
  os_hidden: 'hidden',
  owner: 'owner',
  container_format: 'containerFormat',
  disk_format: 'diskFormat',
  min_ram: 'minRamMiB',
  min_disk: 'minDiskGiB',
  tags: 'tags',
}
const FORMATS: readonly string[] = ['container_format', 'disk_format']

/**
 * What can be told of steps without the image: names that may not be changed, values that no image may have.
 * Fails with FORBIDDEN, REQUEST_INVALID.
 */
export function checkSteps(
  steps: readonly PatchStep[],
  { checks, isAdmin }: Pick<PatchRules, 'checks' | 'isAdmin'>,
): void {
  for (const { operation, name, place, value } of steps) {
    checkWritable(name)
    if (name === 'id') throw new Failure('FORBIDDEN', "attribute 'id' is read-only")
    if (name === 'owner' && !isAdmin)
      throw new Failure('FORBIDDEN', 'the owner of an image is changed by administrators only')
    if (operation !== 'remove')
      checkFields(checks, { [name]: place === undefined ? value : [value] })
    else if (name !== 'locations' && isField(name))
      throw new Failure('FORBIDDEN', `attribute '${name}' may not be removed`)
  }
}

/**
 * What the steps make of the image: all of them, in order, or none. Those about locations are left out.
 * Fails with PROPERTY_CONFLICT, FORBIDDEN, LIMIT_EXCEEDED.
 */
export function applyPatch(
  image: Image,
  steps: readonly PatchStep[],
  rules: PatchRules,
): ImageChange {
  const change: Record<string, unknown> = {}
  const properties = new Map(Object.entries(image.properties))
  for (const step of steps) {
    const { name } = step
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (field !== undefined) change[field] = newValue(image, step, rules)
    else if (name !== 'locations') applyToProperty(properties, step, rules)
  }
  if (properties.size > Object.keys(image.properties).length)
    checkCount('properties', properties.size, rules.maxProperties)
  if (steps.some(({ operation, name }) => operation !== 'remove' && !isField(name)))
    checkPropertyText(properties)
  if (steps.some(({ name }) => !isField(name)))
    change['properties'] = Object.fromEntries(properties)
  return change
}

/** The value of a field of the record. */
function newValue(image: Image, { operation, name, value }: PatchStep, rules: PatchRules): unknown {
  if (operation === 'add' && rules.dialect === 'draft4') throw present(name)
  if (FORMATS.includes(name)) checkFormatChange(image, name, value)
  if (name !== 'tags') return value
  const tags = [...new Set(value as readonly string[])].sort()
  checkCount('tags', tags.length, rules.maxTags)
  return tags
}

function checkFormatChange(image: Image, name: string, value: unknown): void {
  const old = name === 'disk_format' ? image.diskFormat : image.containerFormat
  if (value === old || image.status === 'queued' || image.status === 'importing') return
  throw new Failure('FORBIDDEN', `the ${name} of an image that is ${image.status} stays as it is`, {
    details: { status: image.status },
  })
}

function applyToProperty(
  properties: Map<string, string>,
  { operation, name, value }: PatchStep,
  { dialect, mayTouch }: PatchRules,
): void {
  const isThere = properties.has(name)
  if (operation !== 'add' && !isThere)
    throw new Failure('PROPERTY_CONFLICT', `the image has no property '${name}'`, {
      details: { name },
    })
  if (operation === 'add' && isThere && dialect === 'draft4') throw present(name)
  const action = operation === 'remove' ? 'delete' : isThere ? 'update' : 'create'
  if (!mayTouch(action, name)) throw new Failure('FORBIDDEN', `property '${name}' is protected`)
  if (typeof value === 'string') properties.set(name, value)
  else properties.delete(name) // removed, or set to nothing
}

function present(name: string): Failure {
  return new Failure('PROPERTY_CONFLICT', `the image has '${name}' already`, { details: { name } })
}
