/**
 * Bodies: the disks of factory images. A body is an image of the catalog, a raw golden in a store, so that all that
 * the image service does with data (formats, ranges, quotas, deletion) is done with bodies too. This directory brings
 * disks there (`store-body.ts`), takes them out to work on them (`fit-body.ts`), and reads them in any format for
 * whoever pushes them (`open-pushed-disk.ts`). All of it is done with the rooms of the image service, given here.
 */
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import type { DigestThreads } from '../../bytes/digest-threads.ts'
import type { Database } from '../../database/database.ts'
import type { Catalog } from '../../images/catalog.ts'
import type { Image } from '../../images/image.ts'
import type { ImageContent } from '../../images/image-content.ts'
import type { Images } from '../../images/images.ts'
import type { Uploads } from '../../images/upload.ts'
import type { Ledger } from '../../tasks/ledger.ts'
import type { FactoryImage } from '../factory-image.ts'

/** What bodies are kept with. */
export interface BodyParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly images: Images
  readonly uploads: Uploads
  readonly content: ImageContent
  readonly ledger: Ledger
  readonly digests: DigestThreads
  readonly context: Context
}

/** For whom and under which name a body is kept. */
export interface BodyRecord {
  /** Of the image of the catalog: that of the factory image whose body it is. */
  readonly imageId: string
  readonly name: string | null
  readonly requester: {
    readonly owner: string | null
    readonly userId: string | null
    readonly requestId: string
  }
  /** An image whose needs and tags it shares; left out: it has none. */
  readonly like?: Pick<Image, 'minRamMiB' | 'minDiskGiB' | 'tags'> | undefined
  /** Properties of the image: `os_distro`, `architecture`. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  readonly signal: AbortSignal
  /** How much is done, 0 to 1. */
  readonly tell?: ((fraction: number) => void) | undefined
}

/** The image of the catalog that holds the body of a factory image. Fails with OBJECT_NOT_FOUND when it has none. */
export function bodyOf({ id, bodyId }: FactoryImage): string {
  if (bodyId !== null) return bodyId
  throw new Failure('OBJECT_NOT_FOUND', `factory image ${id} has no body here`, { details: { id } })
}
