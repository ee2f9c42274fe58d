/** The image service (Glance, Image API v2) as far as images are made, sent, fetched and removed there. */

export interface CloudImage {
  readonly id: string
  readonly name: string | null
  /** `queued`, `saving`, `importing`, `active`, `killed`, `deleted`, `deactivated`. */
  readonly status: string
  readonly visibility: string
  readonly diskFormat: string | null
  readonly containerFormat: string | null
  /** Bytes; null before there is data. */
  readonly size: number | null
  readonly minDiskGiB: number
  readonly minRamMiB: number
  readonly owner: string | null
  readonly tags: readonly string[]
  /** Hexadecimal digest of the data, and by which algorithm (`sha512`). */
  readonly digest: { readonly algorithm: string; readonly value: string } | null
  /** Everything else that stands at the image: `hw_disk_bus`, `os_distro`, `stores`. */
  readonly properties: Readonly<Record<string, string>>
}

export interface NewCloudImage {
  /** A UUID of ours: then a creation whose answer was lost is found again. Default: one is made. */
  readonly id?: string
  readonly name: string
  readonly diskFormat: string
  /** Default `bare`. */
  readonly containerFormat?: string
  readonly visibility?: string
  readonly minDiskGiB?: number
  readonly minRamMiB?: number
  readonly protected?: boolean
  readonly tags?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
}

export interface CloudImageData {
  readonly stream: AsyncIterable<Uint8Array>
  /** Bytes; undefined: not known before the end. */
  readonly size: number | undefined
}

/** How data that was staged, or is elsewhere, is taken in. */
export interface ImageImport {
  readonly method: 'glance-direct' | 'web-download' | 'copy-image' | 'glance-download'
  /** Of web-download. */
  readonly uri?: string
  /** Names of the stores it goes to; left out: the default one. */
  readonly stores?: readonly string[]
  readonly allStores?: boolean
  readonly allStoresMustSucceed?: boolean
}

export interface ImageQuery {
  readonly name?: string
  readonly tag?: string
  readonly status?: string
  readonly visibility?: string
  /** The id of a project. */
  readonly owner?: string | undefined
  /** Properties that must have these values. */
  readonly properties?: Readonly<Record<string, string>>
}

/** Values by the wire's names; null removes a property. */
export type ImageChange = Readonly<
  Record<string, string | number | boolean | readonly string[] | null>
>

export interface ImageService {
  /** Newest first, at most 1,000. */
  list(query?: ImageQuery): Promise<readonly CloudImage[]>
  get(id: string): Promise<CloudImage>
  /** By id, else by name among the active ones; of several with one name the newest. Fails with CLOUD_NOT_FOUND, saying what there is. */
  find(idOrName: string): Promise<CloudImage>
  create(image: NewCloudImage): Promise<CloudImage>
  /** Puts the data of a queued image; it is active when this resolves. It cannot be repeated: a failure leaves the image queued or killed. */
  upload(id: string, data: CloudImageData, store?: string): Promise<void>
  /** Puts data aside for an import by `glance-direct`. */
  stage(id: string, data: CloudImageData): Promise<void>
  /** Begins it; who wants to know looks at the image's status. */
  import(id: string, request: ImageImport): Promise<void>
  /** Names of the ways to import, and of the stores (with the default one), that the service tells; empty where it tells none. */
  importMethods(): Promise<readonly string[]>
  stores(): Promise<readonly { readonly id: string; readonly isDefault: boolean }[]>
  /** The data from a byte on. The stream fails with CLOUD_AWAY when it breaks off. */
  download(id: string, from?: number): Promise<ImageDownload>
  /** Sets properties, and what else can be changed (`name`, `visibility`, `min_disk`, …), as the wire spells them; null removes. */
  change(id: string, values: ImageChange): Promise<CloudImage>
  /** False: it was gone already. */
  delete(id: string): Promise<boolean>
}

export interface ImageDownload {
  /** Bytes still to come; undefined: the service does not say. */
  readonly length: number | undefined
  readonly stream: AsyncIterable<Uint8Array>
}
