/**
 * The tables of the catalog. One row of `images` is all of a record: reading it takes no other table. Tags,
 * properties and locations stand a second time in tables of their own, only to find records by them.
 */
import type { Visibility, ImageStatus, Location, MemberStatus } from './image.ts'
import type { Image } from './image.ts'

export interface ImageRow {
  id: string
  name: string | null
  status: ImageStatus
  visibility: Visibility
  protected: number
  hidden: number
  checksum: string | null
  hash_algorithm: string | null
  hash_value: string | null
  owner: string | null
  size: number | null
  virtual_size: number | null
  container_format: string | null
  disk_format: string | null
  min_ram: number
  min_disk: number
  created_at: number
  updated_at: number
  /** JSON, as are the next two. */
  tags: string
  properties: string
  locations: string
  revision: number
  /** For quotas: 1 while data comes in; bytes in stores, each location counted; bytes that are staged. */
  busy: number
  stored_size: number
  staged_size: number
}

/** A second home of what is in `images`, by what it is looked for; times are those of the image. */
export interface TagRow {
  tag: string
  created_at: number
  image_id: string
}

export interface PropertyRow {
  name: string
  /** The value; of a long one a digest. */
  value: string
  created_at: number
  image_id: string
}

export interface LocationRow {
  /** A digest of store and key. */
  object: string
  location_id: string
}

export interface MemberRow {
  image_id: string
  member: string
  status: MemberStatus
  created_at: number
  updated_at: number
  image_created_at: number
}

export interface AttachmentRow {
  image_id: string
  kind: string
  bytes: Uint8Array
}

export interface CatalogTables {
  images: ImageRow
  image_tags: TagRow
  image_properties: PropertyRow
  image_locations: LocationRow
  image_members: MemberRow
  image_attachments: AttachmentRow
}

/** A record as the catalog writes it: what is read, and what only quotas ask for. */
export type KeptImage = Image & { readonly stagedSize: number }

export function toRow(image: KeptImage): ImageRow {
  return {
    id: image.id,
    name: image.name,
    status: image.status,
    visibility: image.visibility,
    protected: image.protected ? 1 : 0,
    hidden: image.hidden ? 1 : 0,
    checksum: image.checksum,
    hash_algorithm: image.hashAlgorithm,
    hash_value: image.hashValue,
    owner: image.owner,
    size: image.size,
    virtual_size: image.virtualSize,
    container_format: image.containerFormat,
    disk_format: image.diskFormat,
    min_ram: image.minRamMiB,
    min_disk: image.minDiskGiB,
    created_at: image.createdAt.getTime(),
    updated_at: image.updatedAt.getTime(),
    tags: JSON.stringify([...new Set(image.tags)].toSorted()),
    properties: JSON.stringify(image.properties),
    locations: JSON.stringify(image.locations),
    revision: image.revision,
    busy: isBusy(image) ? 1 : 0,
    stored_size: (image.size ?? 0) * image.locations.length,
    staged_size: image.stagedSize,
  }
}

export function fromRow(row: ImageRow): Image {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    visibility: row.visibility,
    protected: row.protected !== 0,
    hidden: row.hidden !== 0,
    checksum: row.checksum,
    hashAlgorithm: row.hash_algorithm,
    hashValue: row.hash_value,
    owner: row.owner,
    size: row.size,
    virtualSize: row.virtual_size,
    containerFormat: row.container_format,
    diskFormat: row.disk_format,
    minRamMiB: row.min_ram,
    minDiskGiB: row.min_disk,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    tags: parseList(row.tags) as string[],
    properties:
      row.properties === '{}' ? {} : (JSON.parse(row.properties) as Record<string, string>),
    locations: parseList(row.locations) as Location[],
    revision: row.revision,
  }
}

function parseList(json: string): unknown {
  return json === '[]' ? [] : JSON.parse(json)
}

/** Source: Glance counts as uploading what is saving, uploading or importing, and what is copied to stores. */
function isBusy({ status, properties }: Image): boolean {
  if (status === 'saving' || status === 'uploading' || status === 'importing') return true
  return status === 'active' && Boolean(properties['os_glance_importing_to_stores'])
}
