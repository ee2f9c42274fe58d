/**
 * The image: a record in the catalog, and data in stores. This room keeps the record (`catalog.ts`), knows
 * which moves of its status are allowed (`status.ts`), and carries data in (`ingest.ts`, `upload.ts`) and
 * out (`image-content.ts`). Who may do what is asked at the door, not here.
 */

/** Source: the statuses of the Image API v2. `killed` is historic and never written. */
export type ImageStatus =
  | 'queued'
  | 'saving'
  | 'uploading'
  | 'importing'
  | 'active'
  | 'deactivated'
  | 'pending_delete'
  | 'deleted'

export type Visibility = 'public' | 'community' | 'shared' | 'private'

export interface Image {
  readonly id: string
  readonly name: string | null
  readonly status: ImageStatus
  readonly visibility: Visibility
  readonly protected: boolean
  readonly hidden: boolean
  /** MD5 of the stored bytes, hexadecimal. */
  readonly checksum: string | null
  /** `sha512`, and that digest of the stored bytes, hexadecimal. */
  readonly hashAlgorithm: string | null
  readonly hashValue: string | null
  /** The project it belongs to. */
  readonly owner: string | null
  /** Stored bytes; bytes that the guest sees. */
  readonly size: number | null
  readonly virtualSize: number | null
  readonly containerFormat: string | null
  readonly diskFormat: string | null
  readonly minRamMiB: number
  readonly minDiskGiB: number
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Sorted. */
  readonly tags: readonly string[]
  /** Everything else at the top level of the image on the wire. */
  readonly properties: Readonly<Record<string, string>>
  readonly locations: readonly Location[]
  /** Grows with every change of the record: `id` and `revision` together name what it says. */
  readonly revision: number
}

/** A place where the image's data stands. */
export interface Location {
  /** Unique in the catalog. */
  readonly id: string
  /** The configured store, and its name for the object; see `stores/store.ts`. */
  readonly store: string
  readonly key: string
  /** As `store.locate(key)` gives it: what the wire shows as `direct_url`. */
  readonly url: string
  readonly metadata: Readonly<Record<string, string>>
}

export type MemberStatus = 'pending' | 'accepted' | 'rejected'

/** A project that a shared image is shared with. */
export interface Member {
  readonly imageId: string
  /** The project. */
  readonly member: string
  readonly status: MemberStatus
  readonly createdAt: Date
  readonly updatedAt: Date
}
