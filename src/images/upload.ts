/** Data of images that comes with a request: `PUT …/file` and `PUT …/stage`. Made by `openUploads` (`open-uploads.ts`). */
import type { Tx } from '../database/database.ts'
import type { Image } from './image.ts'
import type { IngestPlan } from './ingest.ts'
import type { Signer } from './signature.ts'

export interface UploadRequest {
  readonly imageId: string
  /** Makes the record, in the transaction in which the upload begins. Default: there is one, which waits for data. */
  readonly create?: NewRecord | undefined
  readonly stream: AsyncIterable<Uint8Array>
  /** `Content-Length`, or what `x-openstack-image-size` says; undefined if neither is there. */
  readonly size: number | undefined
  /** The store asked for by name. Default: the default store. */
  readonly store?: string | undefined
  /** What becomes of it on the way, for those who bring other things than the record says. Default: it is stored as it is. */
  readonly taking?:
    | Partial<Pick<IngestPlan, 'decompress' | 'convertTo' | 'requireMatch' | 'alsoHash'>>
    | undefined
  /** Who has to have signed the data; see `findSigner`. */
  readonly signer?: Signer | undefined
  readonly userId: string | null
  readonly requestId: string
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal
}

/** A record that is made for data: whose, and how (`Images.creation`). */
export interface NewRecord {
  readonly owner: string | null
  make(tx: Tx, status: 'saving'): Promise<Image>
}

export interface Uploads {
  /**
   * queued → saving → active. Whatever goes wrong, the image is queued again and nothing is left in the store;
   * also when this process dies (the ledger knows of it).
   * Fails with IMAGE_STATE (before the body is read), IMAGE_GONE (deleted meanwhile), REQUEST_INVALID (formats
   * missing), STORE_UNKNOWN, QUOTA_EXCEEDED, and with what `ingest` and `create` fail with.
   */
  upload(request: UploadRequest): Promise<Image>
  /**
   * queued → uploading. The data is taken in as the import steps say (unpacked, converted, inspected) and
   * stands, staged, in the store as the object it will be when it is imported. Content that is refused is read to
   * its end and kept nowhere: the image is staged, and its import fails with the reason.
   */
  stage(request: Omit<UploadRequest, 'create' | 'store' | 'taking'>): Promise<Image>
}
