/**
 * OS builders: each makes base images in its own way (`bootstrap`, `installer`, `nova`, …). The engine calls one with
 * a job: it has read the template, checked the options, made a directory, and keeps the record, its percentage, its log
 * and its body; a builder only makes the image. It returns for success, and throws a Failure for all else.
 */
import type { TSchema } from 'typebox'
import type { Context } from '../base/context.ts'
import type { Json } from '../tasks/task.ts'
import type { BuildLog } from './build-log.ts'
import type { DocumentKind, FactoryImage, JsonObject } from './factory-image.ts'
import type { Reach } from './reach.ts'
import type { Template } from './template.ts'

/** A part of a job, with its share of the percentage. */
export interface Phase {
  /** What it does: `waiting for the installer`. It becomes the image's activity. */
  readonly name: string
  /** Percentages at its beginning and its end. */
  readonly from: number
  readonly to: number
  /** Left out: as long as the job may. */
  readonly timeoutMs?: number | undefined
}

/** What a phase works with. */
export interface PhaseScene {
  /** Aborted when the phase took too long (PHASE_TIMEOUT), or the job is cancelled. */
  readonly signal: AbortSignal
  /** How much of the phase is done, 0 to 1, and perhaps what it does now. */
  tell(fraction: number, activity?: string): void
}

/**
 * Things made elsewhere for a job (instances, volumes, objects): written down before they are made, crossed out
 * when they are gone. What stands here when a job fails, is cancelled, or its process dies, is cleared by `clear`.
 */
export interface Holdings {
  /** What is held now, that of earlier attempts too. */
  readonly all: readonly Json[]
  /** On the medium when it resolves. Fails with LEASE_LOST, TASK_CANCELLED. */
  add(thing: Json): Promise<Holding>
  /** Takes up what is held already: by a builder that `takesUp`, after an earlier attempt. */
  find(matches: (thing: Json) => boolean): (Holding & { readonly thing: Json }) | undefined
}

export interface Holding {
  /** Says more of it, such as the id that it got. On the medium when it resolves. */
  update(thing: Json): Promise<void>
  drop(): Promise<void>
}

/** What every kind of work of the factory is given. */
export interface Job<Options = unknown> {
  readonly image: FactoryImage
  readonly template: Template
  /** Checked against the part's `options`. */
  readonly options: Options
  /** A directory of its own, removed at the end. */
  readonly workDir: string
  /** For what is worth keeping between builds: media, packages. */
  readonly cacheDir: string
  /** 1, or more after a restart or a retry by itself. */
  readonly attempt: number
  readonly log: BuildLog
  readonly holdings: Holdings
  /** What this host reads for whoever ordered it, and how its guests get to the network. */
  readonly reach: Reach
  /** `signal` ends the job. */
  readonly context: Context
  /** Runs a phase; phases follow each other. */
  phase<T>(phase: Phase, work: (scene: PhaseScene) => Promise<T>): Promise<T>
  /** Keeps something in the record at once. */
  setProperties(properties: JsonObject): Promise<void>
  /** Keeps something beside the record at once: of a build that fails, too. */
  keepDocument(kind: DocumentKind, content: string | Uint8Array): Promise<void>
  /** From now on shown as `***` in log, activity and error. */
  addSecret(secret: string): void
}

/** What was made. */
export interface BuiltImage {
  /** The disk; it is read into a store, as raw. Left out: it stays in a cloud, and `properties` say where. */
  readonly body?: { readonly path: string; readonly format: 'raw' | 'qcow2' }
  /** By kind; see `DocumentKind`. Left out: the engine makes what it can from the body. */
  readonly documents?: Partial<Record<DocumentKind, string>>
  readonly properties?: JsonObject
}

export interface OsBuilder<Options = unknown> {
  readonly name: string
  readonly summary: string
  /** Shape of the parameters it takes, an object; each with what it means. */
  readonly options: TSchema
  /** How many jobs at a time, unless the configuration says otherwise. */
  readonly concurrency: number
  /** Why it cannot build by this template; undefined: it can. Looks at the template only. */
  refuses?(template: Template, options: Options): string | undefined
  /** What an earlier attempt holds is taken up by `build`, and not cleared before. Default false. */
  readonly takesUp?: boolean
  build(job: Job<Options>): Promise<BuiltImage>
  /**
   * Removes what an earlier attempt left, wherever it is; gives what is left still. Called before a job is begun anew,
   * after it failed or was cancelled, and by `reap`. Left out: there is never anything.
   */
  clear?(things: readonly Json[], context: ClearContext): Promise<readonly Json[]>
  /**
   * Removes what it left elsewhere as the image that it made, before the record goes; that it is gone already is fine.
   * Left out: there is never anything.
   */
  remove?(image: FactoryImage, context: ClearContext): Promise<void>
  /**
   * Things of this builder's kind that lie about elsewhere, whoever's ledger they stand in or do not: each as `clear` takes
   * it, with the id of the image it was made for. Left out: nobody can tell.
   */
  discover?(context: DiscoverContext): Promise<readonly Discovered[]>
}

export interface DiscoverContext extends Context {
  /** Where to look, by the name that builders know it by. Default: where they build if nobody says where. */
  readonly cloud?: string | undefined
}

export interface Discovered {
  /** Of the factory image; null: nobody can tell. */
  readonly imageId: string | null
  readonly thing: Json
}

export interface ClearContext extends Context {
  readonly buildLog: BuildLog
  readonly imageId: string
  /**
   * `reap`: somebody wants all of it gone, what is kept on purpose too; `again`: the job is begun anew. Default: it failed or
   * was cancelled.
   */
  readonly why?: 'reap' | 'again'
  /** The parameters of the order that are secret. Left out: there are none, or they are not kept any more. */
  readonly secrets?: JsonObject | undefined
}

export function defineOsBuilder<Options>(builder: OsBuilder<Options>): OsBuilder<Options> {
  return builder
}
