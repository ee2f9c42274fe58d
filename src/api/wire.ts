/**
 * The HTTP contract without a server: shapes on the wire, with the names that the Image API gives them. Servers
 * write them, clients read them; nothing here does anything.
 */
import type { ImageStatus, MemberStatus, Visibility } from '../images/image.ts'

/** `GET /v2/images/{id}`. Custom properties stand beside these members. */
export interface WireImage {
  readonly id: string
  readonly name: string | null
  readonly status: ImageStatus
  readonly visibility: Visibility
  readonly protected: boolean
  readonly os_hidden: boolean
  readonly checksum: string | null
  readonly os_hash_algo: string | null
  readonly os_hash_value: string | null
  readonly owner: string | null
  readonly size: number | null
  readonly virtual_size: number | null
  readonly container_format: string | null
  readonly disk_format: string | null
  readonly min_ram: number
  readonly min_disk: number
  /** `2026-07-01T12:00:00Z`. */
  readonly created_at: string
  readonly updated_at: string
  readonly tags: readonly string[]
  /** Stores that hold its data, with commas between them; left out while there is none. */
  readonly stores?: string
  /** Only where the service shows them. */
  readonly direct_url?: string
  readonly locations?: readonly WireLocation[]
  readonly self: string
  readonly file: string
  readonly schema: string
  readonly [property: string]: unknown
}

export interface WireLocation {
  readonly url: string
  readonly metadata: Readonly<Record<string, string>>
}

/** `GET /v2/images`. */
export interface WireImages {
  readonly images: readonly WireImage[]
  /** Paths: of the first page, and of the next one if there may be more. */
  readonly first: string
  readonly next?: string
  readonly schema: string
}

/** `GET /v2/images/{id}/members/{project}`. */
export interface WireMember {
  readonly member_id: string
  readonly image_id: string
  readonly status: MemberStatus
  readonly created_at: string
  readonly updated_at: string
  readonly schema: string
}

export interface WireMembers {
  readonly members: readonly WireMember[]
  readonly schema: string
}

/** `GET /versions`. */
export interface WireVersions {
  readonly versions: readonly {
    readonly id: string
    readonly status: 'CURRENT' | 'SUPPORTED'
    readonly links: readonly { readonly rel: 'self'; readonly href: string }[]
  }[]
}

/** What was not done, for clients that take JSON. */
export interface WireRefusal {
  readonly message: string
  /** `404 Not Found`. */
  readonly code: string
  readonly title: string
  /** The code of our failure, and what to try; not there for bugs. */
  readonly failure?: string
  readonly fix?: string
}
