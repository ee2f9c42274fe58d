/**
 * Cloud targets: for each kind of cloud, what is put into an image so that it runs there (`fit`), in what format
 * the cloud wants it (`format`), and how it gets there and away again (`push`, `remove`). What is pushed streams from a
 * view of the golden image: nothing is written to disk first.
 */
import type { TSchema } from 'typebox'
import type { Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import type { Facts } from '../remotes/facts.ts'
import type { Json } from '../tasks/task.ts'
import type { DocumentKind, FactoryImage, JsonObject } from './factory-image.ts'
import type { ClearContext, Job } from './os-builder.ts'

/** The body of a target image, for who pushes it. Everything is open as long as the job runs. */
export interface PushedDisk {
  /** Bytes that a guest sees. */
  readonly size: number
  /** The raw disk, and where in it there is data. */
  readonly source: Source
  readonly map: DiskMap
  /** Hexadecimal SHA-256 of the raw disk; read once if nobody knows it. */
  digest(): Promise<string>
  /** The disk in another format, by its name of `ingot convert`, to be read by range. It is made first if it must be. */
  open(format: string): Promise<FormattedDisk>
}

export interface FormattedDisk extends Source {
  readonly mediaType: string
  /** `debian-12.vmdk` */
  readonly fileName: string
  /** Where there is data in it, half-open, in order; null: everywhere. */
  readonly extents: readonly { readonly start: number; readonly end: number }[] | null
}

/** Something that is had of a target image as one file: a Vagrant box, an OCI archive. */
export interface Artifact {
  readonly fileName: string
  readonly mediaType: string
  /** Bytes, if they are known before. */
  readonly size: number | undefined
  stream(signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** Whom and where to push to; both were checked against the target's schemas. */
export interface Provider<Options = unknown, Credentials = unknown> {
  readonly name: string
  readonly options: Options
  readonly credentials: Credentials
  /** It stands in the configuration; only then may it name what is this host's: a directory, a socket. */
  readonly isConfigured?: boolean
}

export interface PushJob<
  Options = unknown,
  ProviderOptions = unknown,
  Credentials = unknown,
> extends Job<Options> {
  /** The target image; `image` is the provider image. */
  readonly targetImage: FactoryImage
  readonly provider: Provider<ProviderOptions, Credentials>
  readonly disk: PushedDisk
  /** What is kept beside the target image. Left out: nothing is. */
  readDocument?(kind: DocumentKind): Promise<Uint8Array | undefined>
}

export interface Pushed {
  /** What the cloud calls the image. */
  readonly identifier: string
  /** Whose it is there. */
  readonly account?: string | undefined
  readonly properties?: JsonObject
}

export interface CloudTarget<Options = unknown, ProviderOptions = unknown, Credentials = unknown> {
  readonly name: string
  /** What others call it: `openstack-kvm`. */
  readonly aliases?: readonly string[]
  readonly summary: string
  /** Shape of the parameters of target and provider images, an object. */
  readonly options: TSchema
  /** Shapes of a provider's definition and of its credentials; left out: nothing can be pushed. */
  readonly provider?: { readonly options: TSchema; readonly credentials: TSchema }
  /** How many pushes at a time, unless the configuration says otherwise. Default 4. */
  readonly concurrency?: number
  /**
   * What is put into the image: a recipe, as YAML. Undefined: nothing; then the target image shares the body of
   * its base. `facts` say which system it is.
   */
  fit?(facts: Facts, options: Options): string | undefined
  /** In which format the cloud takes it, by its name of `ingot convert`. */
  format(options: Options): string
  /** Why these options do not go together; undefined: they do. Asked before anything is kept. */
  refuses?(options: Options): string | undefined
  /** The target image as one file, where that is more than the disk in `format`. */
  openArtifact?(job: Omit<PushJob<Options>, 'provider'>): Promise<Artifact>
  push?(job: PushJob<Options, ProviderOptions, Credentials>): Promise<Pushed>
  /** Removes it from the cloud. That it is gone already is success. */
  remove?(
    image: FactoryImage,
    provider: Provider<ProviderOptions, Credentials>,
    context: ClearContext,
  ): Promise<void>
  /** As that of OS builders, for what a push left. */
  clear?(
    things: readonly Json[],
    provider: Provider<ProviderOptions, Credentials>,
    context: ClearContext,
  ): Promise<readonly Json[]>
}

export function defineCloudTarget<Options, ProviderOptions, Credentials>(
  target: CloudTarget<Options, ProviderOptions, Credentials>,
): CloudTarget<Options, ProviderOptions, Credentials> {
  return target
}
