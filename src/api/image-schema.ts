/**
 * What an image is on the wire: one table of its fields, from which come the schema that clients read
 * (`GET /v2/schemas/image`) and the one by which requests are checked.
 */
import type { TSchema } from 'typebox'
import { Type } from '../schema/type.ts'
import { WELL_KNOWN_PROPERTIES } from './well-known-properties.ts'

/** A field, as a JSON Schema shows it. Texts, but for a few that are ours. */
export interface WireField {
  readonly type: string | readonly string[]
  readonly description: string
  readonly readOnly?: true
  readonly is_base?: boolean
  readonly enum?: readonly (string | null)[]
  readonly pattern?: string
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: object
}

/** What the formats of an image may be. */
export interface ImageFormats {
  readonly disk_formats: readonly string[]
  readonly container_formats: readonly string[]
}

/** Well-known custom properties of a site, and those that every image must have. */
export interface SiteProperties {
  readonly properties: Readonly<Record<string, WireField>>
  readonly required: readonly string[]
}

export const BUILTIN_PROPERTIES: SiteProperties = {
  properties: WELL_KNOWN_PROPERTIES,
  required: [],
}

export const UUID_PATTERN =
  '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
export const VISIBILITIES = ['community', 'public', 'private', 'shared'] as const
export const MAX_NAME = 255
/** Of both databases' whole numbers. */
const MAX_INTEGER = 2_147_483_647

const TEXT = 'string'
const MAYBE_TEXT = ['null', 'string'] as const

/** Fields that every image has, in the order of people. Those without `readOnly` may be given and changed. */
function baseFields(formats: ImageFormats): Readonly<Record<string, WireField>> {
  return {
    id: { type: TEXT, pattern: UUID_PATTERN, description: 'An identifier for the image' },
    name: { type: MAYBE_TEXT, maxLength: MAX_NAME, description: 'Descriptive name for the image' },
    status: {
      type: TEXT,
      readOnly: true,
      enum: ['queued', 'saving', 'active', 'killed', 'deleted', 'uploading', 'importing', 'pending_delete', 'deactivated'], // prettier-ignore
      description: 'Status of the image',
    },
    visibility: { type: TEXT, enum: VISIBILITIES, description: 'Who sees the image' },
    protected: { type: 'boolean', description: 'If true, the image cannot be deleted' },
    os_hidden: { type: 'boolean', description: 'If true, the image is left out of listings' },
    checksum: { type: MAYBE_TEXT, readOnly: true, maxLength: 32, description: 'MD5 of the data' },
    os_hash_algo: {
      type: MAYBE_TEXT,
      readOnly: true,
      maxLength: 64,
      description: 'Algorithm of os_hash_value',
    },
    os_hash_value: {
      type: MAYBE_TEXT,
      readOnly: true,
      maxLength: 128,
      description: 'Digest of the data, hexadecimal, by the algorithm of os_hash_algo',
    },
    owner: { type: MAYBE_TEXT, maxLength: MAX_NAME, description: 'Project that owns the image' },
    size: { type: ['null', 'integer'], readOnly: true, description: 'Size of the data in bytes' },
    virtual_size: {
      type: ['null', 'integer'],
      readOnly: true,
      description: 'Size of the disk that a guest sees, in bytes',
    },
    container_format: {
      type: MAYBE_TEXT,
      enum: [null, ...formats.container_formats],
      description: 'Format of the container',
    },
    disk_format: {
      type: MAYBE_TEXT,
      enum: [null, ...formats.disk_formats],
      description: 'Format of the disk',
    },
    created_at: { type: TEXT, readOnly: true, description: 'When the image was registered' },
    updated_at: { type: TEXT, readOnly: true, description: 'When the image was last changed' },
    tags: {
      type: 'array',
      items: { type: TEXT, maxLength: MAX_NAME },
      description: 'Texts related to the image',
    },
    direct_url: { type: TEXT, readOnly: true, description: 'URL of the data in its store' },
    min_ram: {
      type: 'integer',
      minimum: 0,
      maximum: MAX_INTEGER,
      description: 'Memory that a guest needs to boot, in MiB',
    },
    min_disk: {
      type: 'integer',
      minimum: 0,
      maximum: MAX_INTEGER,
      description: 'Disk that a guest needs to boot, in GiB',
    },
    self: { type: TEXT, readOnly: true, description: 'An image’s own URL' },
    file: { type: TEXT, readOnly: true, description: 'A URL for the data of the image' },
    stores: { type: TEXT, readOnly: true, description: 'Stores in which the data stands' },
    schema: { type: TEXT, readOnly: true, description: 'An URL for the schema of the image' },
    locations: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          url: { type: TEXT, maxLength: MAX_NAME },
          metadata: { type: 'object' },
          validation_data: VALIDATION_DATA,
        },
        required: ['url', 'metadata'],
      },
      description: 'Where the data stands',
    },
  }
}

const VALIDATION_DATA = {
  description: 'What the data at the URL hashes to',
  type: 'object',
  additionalProperties: false,
  properties: {
    checksum: { type: TEXT, minLength: 32, maxLength: 32 },
    os_hash_algo: { type: TEXT, maxLength: 64 },
    os_hash_value: { type: TEXT, maxLength: 128 },
  },
  required: ['os_hash_algo', 'os_hash_value'],
}

/**
 * The schema document of an image. `stores` is not in it: python-glanceclient 4.1 makes a flag of each field,
 * has a flag `--stores` of its own, and ends every command with "conflicting option string".
 */
export function imageDocument(formats: ImageFormats, site = BUILTIN_PROPERTIES): object {
  const { stores: _, ...fields } = baseFields(formats)
  const custom = Object.entries(site.properties).map(
    ([name, field]) => [name, { ...field, is_base: false }] as const,
  )
  return {
    name: 'image',
    properties: { ...Object.fromEntries(custom), ...fields },
    additionalProperties: { type: TEXT },
    ...(site.required.length > 0 && { required: site.required }),
    links: [
      { rel: 'self', href: '{self}' },
      { rel: 'enclosure', href: '{file}' },
      { rel: 'describedby', href: '{schema}' },
    ],
  }
}

/** What the fields of a request have to be: all of them together, or one alone. */
export function imageChecks(formats: ImageFormats, site = BUILTIN_PROPERTIES): TSchema {
  const fields = { ...site.properties, ...baseFields(formats) }
  const checks = Object.entries(fields).map(([name, field]) => [name, Type.Optional(check(field))])
  return Type.Object(Object.fromEntries(checks) as Record<string, TSchema>, {
    additionalProperties: Type.String({ title: 'a text, as the value of every property is' }),
  })
}

function check(field: WireField): TSchema {
  const { type, readOnly: _, is_base: __, description: ___, ...rest } = field
  if (rest.enum) return Type.Unsafe<unknown>({ enum: [...rest.enum] })
  const branches = [type].flat().map((one) => Type.Unsafe<unknown>({ type: one, ...rest }))
  return branches.length === 1 && branches[0] ? branches[0] : Type.Union(branches)
}
