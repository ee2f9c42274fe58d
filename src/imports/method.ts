/**
 * Import methods: ways in which data comes to an image. A method (`methods/`) says what the request must hold and
 * where the data is; what is done with it then, and what is kept when something fails, is the same for all
 * (`_run-import.ts`). Methods do not write anything.
 */
import type { TSchema } from 'typebox'
import type { Caller } from '../access/caller.ts'
import type { Context } from '../base/context.ts'
import type { DownloadOptions } from '../bytes/download.ts'
import type { Keystone } from '../clouds/cloud.ts'
import type { Ingested } from '../images/ingest.ts'
import type { Image } from '../images/image.ts'
import type { StagedData } from '../images/staged.ts'
import type { Stores } from '../stores/store.ts'

/** A way to bring data. Whoever holds methods of any kind hands each parameters that its `options` accept. */
export interface ImportMethod<Parameters = unknown> {
  /** As `method.name` on the wire and in the configuration. */
  readonly name: string
  readonly summary: string
  /** What stands beside `name` in the request's `method`. More than that is no fault. */
  readonly options: TSchema
  /** What the image must be; of all others it is busy or done. */
  readonly from: 'queued' | 'uploading' | 'active'
  /**
   * Looks at the request before anything is begun: what it refuses is the answer to the request. Gives secrets that
   * the work will need, which are kept until it ended, and shown to nobody.
   * Fails with REQUEST_INVALID, and whatever fits.
   */
  check?(asked: MethodAsked<Parameters>, scene: MethodScene): Promise<string | undefined>
  /** The data. Called again, from the start, when the work is begun anew. Who opens it closes it. */
  open(work: MethodWork<Parameters>, scene: MethodScene, context: Context): Promise<ImportData>
}

/** What methods find things with. */
export interface MethodScene {
  readonly stores: Stores
  readonly staged: Pick<StagedData, 'find'>
  /** How, and where, the web may be asked for what users name. */
  readonly web: DownloadOptions
  /** Keystone as whoever asked, by the token it came with; undefined where there is none. */
  readonly openKeystone: ((token: string, projectId: string | null) => Keystone) | undefined
  /** Prefixes of properties that come with an image of another service. */
  readonly copiedProperties: readonly string[]
}

export interface MethodAsked<Parameters> {
  readonly parameters: Parameters
  readonly image: Image
  readonly caller: Caller
}

export interface MethodWork<Parameters> {
  readonly parameters: Parameters
  /** As it is now. */
  readonly image: Image
  /** The project it is done for. */
  readonly projectId: string | null
  /** What `check` gave. */
  readonly secret: string | undefined
}

export type ImportData = ArrivingData | StandingData

/** Bytes that come from somewhere else, and are taken in. */
export interface ArrivingData extends AsyncDisposable {
  readonly kind: 'arriving'
  readonly stream: AsyncIterable<Uint8Array>
  /** Bytes, if it is known. */
  readonly size: number | undefined
  /** What they have to hash to. */
  readonly expected?: { readonly algorithm: string; readonly value: string } | undefined
  /** What the image is given beside its data. */
  readonly properties?: Readonly<Record<string, string>>
  /** What the data is, if it is known better than by what the image says. */
  readonly formats?: Partial<Pick<Image, 'diskFormat' | 'containerFormat'>>
}

/** An object of one of our stores, which was taken in before. */
export interface StandingData extends AsyncDisposable {
  readonly kind: 'standing'
  readonly object: StoredObject
  /** What it is; left out: what the image says. */
  readonly ingested?: Ingested
  /** Whether it stands there only for this import, and is not kept unless its store was asked for. */
  readonly staged: boolean
}

/** Where data stands: a configured store, and its name there. */
export type StoredObject = { readonly store: string; readonly key: string }
