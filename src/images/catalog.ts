/**
 * The catalog: image records and their members, in the database. `openCatalog` (`open-catalog.ts`) makes
 * one. Reads are single queries; changes take the transaction of the caller, so that a record, its task
 * and its quota change together or not at all.
 */
import type { Tx } from '../database/database.ts'
import type { Image, ImageStatus, Location, Member, MemberStatus, Visibility } from './image.ts'

/** Which records a query may find at all. It is data of the query; who asks is decided at the door. */
export interface Viewer {
  /** Sees its own, public, community (when asked for by visibility), and those shared with it. */
  readonly project: string | null
  /** Sees everything. */
  readonly all: boolean
}

export const SORT_KEYS = [
  'name',
  'status',
  'container_format',
  'disk_format',
  'size',
  'id',
  'created_at',
  'updated_at',
] as const
export type SortKey = (typeof SORT_KEYS)[number]

export interface Sort {
  readonly key: SortKey
  readonly direction: 'asc' | 'desc'
}

export type Comparison = 'gt' | 'gte' | 'lt' | 'lte' | 'eq' | 'neq'

/** What a listing is narrowed by; parts that are left out do not narrow. */
export interface ImageFilter {
  /** Any of the values, for each key. */
  readonly anyOf?: Partial<
    Record<'id' | 'name' | 'status' | 'container_format' | 'disk_format', readonly string[]>
  >
  readonly times?: readonly {
    readonly key: 'created_at' | 'updated_at'
    readonly comparison: Comparison
    readonly time: Date
  }[]
  /** Bounds, both included; and equality, of numbers. */
  readonly numbers?: readonly {
    readonly key: 'size' | 'virtual_size' | 'min_ram' | 'min_disk'
    readonly comparison: Comparison
    readonly value: number
  }[]
  /** All of them. */
  readonly tags?: readonly string[]
  /** Default: all that the viewer sees but community images of others, which must be asked for. */
  readonly visibility?: Visibility | 'all'
  /** Of images shared with the viewer. Default `accepted`. */
  readonly memberStatus?: MemberStatus | 'all'
  /** Default false. */
  readonly hidden?: boolean
  readonly protected?: boolean
  readonly owner?: string
  readonly checksum?: string
  readonly hashAlgorithm?: string
  readonly hashValue?: string
  /** Equality, all of them. */
  readonly properties?: Readonly<Record<string, string>>
}

export interface ImageQuery {
  readonly viewer: Viewer
  readonly filter: ImageFilter
  /** `id` breaks ties, in the direction of the last key. Nothing sorts before all values. Default: newest first. */
  readonly sort: readonly Sort[]
  readonly limit: number
  /** The image behind which the page begins, as it is now. */
  readonly after?: Image
}

/** What may change of a record. `updatedAt` and `revision` change by themselves. */
export type ImageChange = Partial<
  Omit<Image, 'id' | 'createdAt' | 'updatedAt' | 'revision' | 'locations'>
> & {
  /** Bytes of it that are staged: 0 once they are the image's, or gone. Only `usage` tells of it. */
  readonly stagedSize?: number
  /** Instead of those that it names; see `placesOf` for why one that gets data may name any. */
  readonly locations?: readonly Location[]
}

/** What a project holds, for quotas. */
export interface ImageCount {
  readonly status: ImageStatus
  readonly visibility: Visibility
  readonly count: number
}

export interface Usage {
  /** Images that are not deleted, at once or after a delay. */
  readonly count: number
  /** Bytes in stores; each location counts. */
  readonly size: number
  /** Images that are saving, uploading or importing, or being copied to stores; and bytes that are staged. */
  readonly uploading: number
  readonly staged: number
}

export interface Catalog {
  get(id: string, tx?: Tx): Promise<Image | undefined>
  /** One page. Any size of catalog: the work is that of the page. */
  list(query: ImageQuery): Promise<Image[]>
  /** Fails with IMAGE_EXISTS. */
  insert(tx: Tx, image: Omit<Image, 'revision' | 'locations'>): Promise<Image>
  /**
   * Changes a record; `from` are the statuses it must have. Gives the record as it is then.
   * Fails with IMAGE_NOT_FOUND, IMAGE_STATE, IMAGE_CHANGED (`revision` was given and is no more).
   */
  update(
    tx: Tx,
    id: string,
    change: ImageChange,
    options?: { readonly from?: readonly ImageStatus[]; readonly revision?: number },
  ): Promise<Image>
  /** Removes record, members, tags, properties, locations; its objects are the caller's to remove. */
  remove(tx: Tx, id: string): Promise<void>

  addLocation(tx: Tx, id: string, location: Location): Promise<Image>
  /** Fails with LOCATION_NOT_FOUND. */
  removeLocation(tx: Tx, id: string, locationId: string): Promise<Image>
  /** Whether any location names this object. */
  isLocated(store: string, key: string, tx?: Tx): Promise<boolean>

  members(id: string, tx?: Tx): Promise<Member[]>
  member(id: string, member: string, tx?: Tx): Promise<Member | undefined>
  /** Fails with MEMBER_EXISTS. */
  addMember(tx: Tx, member: Member): Promise<void>
  /** Fails with MEMBER_NOT_FOUND. */
  setMember(tx: Tx, id: string, member: string, status: MemberStatus): Promise<Member>
  removeMember(tx: Tx, id: string, member: string): Promise<void>

  /** What a project holds now; inside of `tx` nobody else can add to it meanwhile. */
  usage(project: string | null, tx?: Tx): Promise<Usage>

  /** How many there are, of whomever: all are looked at, some at a time, so that nobody is held up. */
  counts(): Promise<readonly ImageCount[]>

  /** Things kept beside an image, by kind (`map`: the serialised `DiskMap` of its golden). */
  readAttachment(id: string, kind: string, tx?: Tx): Promise<Uint8Array | undefined>
  writeAttachment(tx: Tx, id: string, kind: string, bytes: Uint8Array): Promise<void>
  removeAttachment(tx: Tx, id: string, kind: string): Promise<void>
}
