/**
 * Ingest: image data on its way from a client (or another server) into a store, in one pass. What arrives is
 * hashed, inspected, unpacked and converted while it is written, so that its bytes go to the medium once.
 * Uploads, staging, downloads from the web and copies between stores are all this.
 */
import type { Context } from '../base/context.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import type { Finding } from '../formats/finding.ts'
import type { Store } from '../stores/store.ts'

export interface IngestPlan {
  /** What failures call the data: `image ID`. */
  readonly name: string
  /** Where it goes, as an object of this key. */
  readonly store: Store
  readonly key: string
  /** What the image says of itself. */
  readonly diskFormat: string
  readonly containerFormat: string
  /** Bytes that were announced; more or fewer are refused. */
  readonly size?: number | undefined
  /** More stored bytes than these are refused with LIMIT_EXCEEDED; more than a quota's, with QUOTA_EXCEEDED. */
  readonly maxSize: number
  readonly quota?: number | undefined
  /** Unpack what is compressed; make a disk of this format of any other; neither by default. */
  readonly decompress?: boolean
  readonly convertTo?: string | undefined
  /** Refuse content that is not of the declared format. Anything may be declared raw. */
  readonly requireMatch: boolean
  /** The digest besides MD5: `sha512`. */
  readonly hashAlgorithm: string
  /** What the data has to hash to, as it arrives. */
  readonly expected?: { readonly algorithm: string; readonly value: string } | undefined
  /** For what has to be put aside. */
  readonly spoolDirectory: string
  /** Whether the map of the disk is wanted (for views); it costs little for raw. */
  readonly wantsMap: boolean
}

/** What stands in the store now. Sizes are bytes, digests hexadecimal. */
export interface Ingested {
  readonly size: number
  readonly virtualSize: number | null
  readonly diskFormat: string
  readonly containerFormat: string
  readonly checksum: string
  readonly hashAlgorithm: string
  readonly hashValue: string
  readonly map: DiskMap | undefined
  readonly findings: readonly Finding[]
  /** Bytes that arrived. */
  readonly sourceSize: number
}

/**
 * Takes data in. Of what is refused, ends early or is interrupted nothing is left in the store.
 *
 * Fails with FORMAT_MISMATCH, IMAGE_UNSAFE, IMAGE_DIRTY, IMAGE_TRUNCATED, FILE_SYSTEM_ENCRYPTED (findings in
 * `details.findings`), LIMIT_EXCEEDED, QUOTA_EXCEEDED, REQUEST_INVALID (other than the announced size),
 * DIGEST_MISMATCH, STORE_FULL, STORE_READ_ONLY, STORE_DENIED, STORE_AWAY, NO_SPACE, INTERRUPTED; and with
 * whatever the stream fails with.
 */
export type Ingest = (
  stream: AsyncIterable<Uint8Array>,
  plan: IngestPlan,
  context: Context,
) => Promise<Ingested>
