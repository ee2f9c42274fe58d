/**
 * Import steps: what is done to data on its way into an image, in the configured order. Steps on the bytes only say
 * what they want of the one pass in which data is taken in (`images/ingest.ts`). Steps on the record look at
 * what stands in the store then, and say what the image shall say of it, before it becomes active.
 */
import type { TSchema } from 'typebox'
import type { Caller } from '../access/caller.ts'
import type { Context } from '../base/context.ts'
import type { Source } from '../bytes/source.ts'
import type { Image } from '../images/image.ts'
import type { IngestPlan } from '../images/ingest.ts'

/** The part of the one pass that steps decide. */
export type IngestWishes = Partial<Pick<IngestPlan, 'decompress' | 'convertTo'>>

/** One thing done on the way, by its name in the configuration, with settings that its `options` accept. */
export type ImportStep<Options = unknown> = ByteStep<Options> | RecordStep<Options>

interface StepAbout {
  readonly name: string
  readonly summary: string
  /** What can be set about it. */
  readonly options: TSchema
}

export interface ByteStep<Options> extends StepAbout {
  readonly on: 'bytes'
  /** What it wants of the pass, for data that its image says to be of these formats. */
  wish(options: Options, image: Pick<Image, 'diskFormat' | 'containerFormat'>): IngestWishes
}

export interface RecordStep<Options> extends StepAbout {
  readonly on: 'record'
  /** What it finds and decides. What it cannot find out is no failure: it says so in `message`. */
  describe(options: Options, scene: StepScene, context: Context): Promise<Description>
}

/** What a step on the record is shown. */
export interface StepScene {
  /** As it will be, so far. */
  readonly image: Image
  /** The stored bytes. */
  readonly data: Source
  /** Roles of whoever asked for the import. */
  readonly roles: Caller['roles']
}

/** What the image shall say of itself. */
export interface Description {
  readonly properties?: Readonly<Record<string, string>>
  readonly minDiskGiB?: number
  /** Kept beside the image, by kind. */
  readonly attachments?: Readonly<Record<string, Uint8Array>>
  /** For the task. */
  readonly message?: string
}
