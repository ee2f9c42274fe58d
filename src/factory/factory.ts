/**
 * What is done with factory images: asked for, followed, cancelled, begun again, deleted. Made by `openFactory`
 * (`open-factory.ts`). The work itself is done by tasks of the ledger, on whichever server takes them.
 */
import type { TSchema } from 'typebox'
import type { TaskKind } from '../tasks/task.ts'
import type { LogEntry } from './build-log.ts'
import type {
  DocumentKind,
  FactoryImage,
  FactoryImageType,
  FactoryStatus,
  JsonObject,
} from './factory-image.ts'
import type { Artifact } from './cloud-target.ts'

/** For whom something is made. */
export interface Requester {
  readonly owner: string | null
  readonly userId: string | null
  readonly requestId: string
}

interface Order {
  readonly requester: Requester
  /**
   * Options of the part that does the work. `callbacks`, a list of URLs, is everybody's: the record is PUT to each whenever
   * its status changes.
   */
  readonly parameters: JsonObject
  /** What to do about parameters that the part does not know: refuse the order, or tell in its log. */
  readonly unknownParameters: 'refuse' | 'tell'
  /**
   * What to do about a template with faults: refuse the order (the default), or keep a record, FAILED, whose error says
   * them, as Image Factory does.
   */
  readonly invalidTemplate?: 'refuse' | 'fail'
}

export interface BaseOrder extends Order {
  readonly template: GivenTemplate
  /** Default: the one that the parameters, the recipe's base or the configuration name. */
  readonly builder?: string | undefined
}

/** A template's text, and the files that a recipe names, by their paths. */
export interface GivenTemplate {
  readonly text: string
  readonly files?: Readonly<Record<string, Uint8Array>>
}

export interface TargetOrder extends Order {
  readonly target: string
  /** One of the two: the image to make it of (base or target), or a template, of which its base is made first. */
  readonly baseId?: string | undefined
  readonly template?: GivenTemplate | undefined
  readonly builder?: string | undefined
}

export interface ProviderOrder extends Order {
  readonly target: string
  /** A provider of the configuration, or else its definition in `definition`. */
  readonly provider: string
  /** JSON, or upstream's XML, as text or parsed; unless the configuration has them. */
  readonly definition?: unknown
  readonly credentials?: unknown
  readonly targetId?: string | undefined
  readonly template?: GivenTemplate | undefined
  readonly builder?: string | undefined
}

export interface ImportOrder {
  readonly requester: Requester
  /** The image, in any format that can be read. */
  readonly content: AsyncIterable<Uint8Array>
  readonly name?: string | undefined
  readonly parameters: JsonObject
}

export interface FactoryQuery {
  readonly type?: FactoryImageType | undefined
  readonly owner?: string | null | undefined
  readonly status?: FactoryStatus | undefined
  readonly parentId?: string | undefined
  readonly target?: string | undefined
  readonly name?: string | undefined
  /** Newest first; default 100, at most 1,000. */
  readonly limit?: number | undefined
  readonly after?: FactoryImage | undefined
}

/** What happens to an image, for who follows it. */
export type FactoryEvent =
  | { readonly kind: 'image'; readonly image: FactoryImage }
  | { readonly kind: 'log'; readonly entry: LogEntry }

/** A part that can be used, and what it takes. */
export interface PartInfo {
  readonly type: 'os' | 'cloud'
  readonly name: string
  readonly aliases: readonly string[]
  readonly summary: string
  readonly options: TSchema
  /** Of cloud targets that push. */
  readonly provider?: { readonly options: TSchema; readonly credentials: TSchema }
}

/** A body as its target wants it: the disk of an image of the catalog, or a file that is made of it. */
export type OpenArtifact =
  | {
      readonly kind: 'disk'
      readonly bodyId: string
      /** By its name of `ingot convert`. */
      readonly format: string
      /** Of a file, without the ending. */
      readonly name: string
    }
  | ({ readonly kind: 'file' } & Artifact & AsyncDisposable)

/** Something that a build made elsewhere and that nobody needs any more. */
export interface Leftover {
  readonly imageId: string
  readonly part: string
  readonly thing: unknown
  /** Why it is there still. */
  readonly reason: string
}

export interface Factory extends AsyncDisposable {
  /**
   * Each fails, before anything is kept, with TEMPLATE_INVALID, RECIPE_INVALID, REQUEST_INVALID (parameters), PART_UNKNOWN,
   * BUILD_NOT_FOUND (parents), BUILD_STATE (a parent that failed or is being deleted), QUOTA_EXCEEDED (`maxUnderWay`).
   */
  orderBase(order: BaseOrder): Promise<FactoryImage>
  orderTarget(order: TargetOrder): Promise<FactoryImage>
  orderProvider(order: ProviderOrder): Promise<FactoryImage>
  /** Takes an image in; COMPLETE when it returns. Fails as an upload does, and with NO_OPERATING_SYSTEM. */
  importBase(order: ImportOrder): Promise<FactoryImage>

  /** Fails with BUILD_NOT_FOUND. */
  get(id: string): Promise<FactoryImage>
  list(query: FactoryQuery): Promise<FactoryImage[]>
  readDocument(id: string, kind: DocumentKind): Promise<Uint8Array | undefined>
  readLog(id: string, after?: number, limit?: number): Promise<LogEntry[]>
  /** From now (or after an entry of the log) until the image has come to its end, or `signal`. From any server. */
  follow(id: string, signal: AbortSignal, after?: number): AsyncIterable<FactoryEvent>
  /**
   * The body as its target wants it. Fails with BUILD_STATE (not COMPLETE), OBJECT_NOT_FOUND (it has none), with the reason
   * of `signal`, and as targets do.
   */
  openArtifact(id: string, signal: AbortSignal): Promise<OpenArtifact>

  /** Stops it, and what waits for it; what was made is removed. Fails with BUILD_NOT_FOUND, BUILD_STATE (it has ended). */
  cancel(id: string): Promise<FactoryImage>
  /** Begins one that FAILED again, and what failed because of it; parents that are COMPLETE stay. Fails with BUILD_STATE, QUOTA_EXCEEDED. */
  retry(id: string, secrets?: { readonly credentials?: unknown }): Promise<FactoryImage>
  /**
   * Removes record and body; first what it is elsewhere, at its provider or in the cloud where it was built, unless `keep`
   * says that this stays. Images made of it stay. If something cannot be removed it is DELETEFAILED.
   * Fails with BUILD_NOT_FOUND, BUILD_STATE (it is at work), REQUEST_INVALID (credentials).
   */
  delete(
    id: string,
    how?: {
      readonly definition?: unknown
      readonly credentials?: unknown
      readonly keep?: boolean
    },
  ): Promise<void>

  parts(): readonly PartInfo[]
  /**
   * What builds left elsewhere; and removes it. Beside what is known, builders look where they build if nobody says where,
   * or in `cloud`; then, if that cannot be looked at, it fails as builders do.
   */
  leftovers(cloud?: string): Promise<Leftover[]>
  reap(imageId?: string, cloud?: string): Promise<Leftover[]>

  /** For the worker. */
  readonly kinds: readonly TaskKind[]
}
