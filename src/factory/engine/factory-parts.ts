/** What the factory stands on: everything that `openFactory` is handed. */
import type { Context } from '../../base/context.ts'
import type { WebRules } from '../../bytes/web-request.ts'
import type { Database } from '../../database/database.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { Ledger } from '../../tasks/ledger.ts'
import type { CloudTarget, PushedDisk } from '../cloud-target.ts'
import type { DocumentKind, FactoryImage, JsonObject } from '../factory-image.ts'
import type { GivenTemplate, ImportOrder, Requester } from '../factory.ts'
import type { Job, OsBuilder } from '../os-builder.ts'
import type { Reach } from '../reach.ts'
import type { TargetContent } from '../tdl/target-content.ts'
import type { Template } from '../template.ts'

export interface FactoryParts {
  readonly database: Database
  readonly ledger: Ledger
  /** Tells a worker of a task; it would be found without, later. */
  readonly offer: (taskId: string) => Promise<void>
  /** In the order in which they are asked whether they can build by a template. */
  readonly builders: readonly OsBuilder[]
  readonly targets: readonly CloudTarget[]
  /** Fails with TEMPLATE_INVALID, RECIPE_INVALID. */
  readonly parseTemplate: (given: GivenTemplate) => Promise<Template>
  readonly bodies: Bodies
  /** An image as callbacks show it. */
  readonly toRecord: (image: FactoryImage, icicle: string | null) => unknown
  readonly settings: FactorySettings
  /** For what is being made, and for what is worth keeping between builds. Both exist. */
  readonly workDirectory: string
  readonly cacheDirectory: string
  /** 32 bytes by which secrets are sealed: the same for all servers of a database; see `open-secret-key.ts`. */
  readonly secretKey: Uint8Array
  /** What the operator puts into every target image; left out: nothing. */
  readonly targetContent?: TargetContent
  /** What this host reads for those who order builds. */
  readonly reach: Reach
  /** Those who order here own the host: nothing that it may read is kept from their templates. Default no. */
  readonly ordersByOwner?: boolean
  /** Where callbacks may go. */
  readonly callbackRules: WebRules
  readonly context: Context
}

export interface FactorySettings {
  /** The builder that is used when none is named; if it refuses, the first that does not. */
  readonly builder?: string | undefined
  /** Jobs at a time in this server, by the name of the part; else what the part says. */
  readonly concurrency: Readonly<Record<string, number>>
  readonly jobTimeoutMs: number
  /** Images of one project that may be NEW, PENDING or BUILDING; negative: any number. */
  readonly maxUnderWay: number
  /** Bytes of log that are kept of an image. */
  readonly maxLogSize: number
  readonly providers: Readonly<Record<string, ConfiguredProvider>>
}

export interface ConfiguredProvider {
  readonly target: string
  readonly options?: Readonly<Record<string, unknown>> | undefined
  readonly credentials?: Readonly<Record<string, unknown>> | undefined
}

/** What the engine asks of those who make and read bodies (`body/`). */
export interface Bodies {
  /** Takes a disk into the store, as the image `imageId` of the catalog. Of what failed nothing is left. */
  store(disk: StoredDisk): Promise<BodyFacts>
  /**
   * A copy of a body, as the image `imageId`, changed by what `fit` gives: a recipe. Undefined: nothing is to be put in,
   * and nothing was made.
   */
  fit(order: FitOrder): Promise<BodyFacts | undefined>
  /** The raw disk of a body, for who pushes it. */
  openDisk(image: FactoryImage, signal: AbortSignal): Promise<PushedDisk & AsyncDisposable>
  /** Removes the image of the catalog, at once; that there is none is no failure. Fails with IMAGE_PROTECTED, IMAGE_BUSY. */
  remove(imageId: string, signal: AbortSignal): Promise<void>
  /** Takes an image in. Fails as an upload does, and with NO_OPERATING_SYSTEM. */
  importImage(order: ImportOrder, imageId: string, signal: AbortSignal): Promise<ImportedImage>
}

export interface StoredDisk {
  readonly imageId: string
  readonly name: string
  readonly path: string
  readonly format: 'raw' | 'qcow2'
  readonly requester: Requester
  readonly template: Template
  /** What is known of it: documents that need not be made. */
  readonly documents: Documents
  readonly job: Job
  /** How much is stored, 0 to 1. */
  readonly tell?: ((fraction: number) => void) | undefined
}

export interface FitOrder {
  readonly imageId: string
  /** The image whose body is copied. */
  readonly parent: FactoryImage
  readonly name: string
  readonly requester: Requester
  readonly fit: (facts: Facts) => string | undefined
  readonly job: Job
}

export type Documents = Partial<Record<DocumentKind, string>>

export interface BodyFacts {
  /** The image of the catalog. */
  readonly bodyId: string
  /** What could be said of what is inside. */
  readonly documents: Documents
  readonly properties?: JsonObject
}

export interface ImportedImage extends BodyFacts {
  readonly name: string | null
  readonly template: string | null
}
