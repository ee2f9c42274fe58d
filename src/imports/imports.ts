/**
 * Imports: ways to bring data into an image that outlive their request. An import is a task of the ledger; its
 * kinds (`kinds/`) are handed to the worker. Methods (`methods/`) say where data comes from, steps (`steps/`)
 * what is done to it on the way. Made by `openImports` (`open-imports.ts`).
 */
import type { Caller } from '../access/caller.ts'
import type { Tx } from '../database/database.ts'
import type { Image } from '../images/image.ts'
import type { Json, Task, TaskKind } from '../tasks/task.ts'

export interface ImportRequest {
  readonly method: string
  /** The rest of `method` on the wire: `uri`, `glance_image_id`. */
  readonly parameters: Readonly<Record<string, Json>>
  /** Where it shall stand; the default store if none is named. */
  readonly stores: readonly string[]
  readonly allStores: boolean
  /** Whether one store that fails makes the import fail. */
  readonly allMustSucceed: boolean
  readonly caller: Caller
  /** Given: a task of the old API, which shows this as its input, and takes the image with it if it fails. */
  readonly asTask?: Readonly<Record<string, Json>>
}

export interface Imports {
  /** The configured methods, in order, with what they are. */
  readonly methods: readonly { readonly name: string; readonly summary: string }[]
  /**
   * Checks the request and the image, and begins: the record is locked and says so, the task is in the ledger.
   * Undefined: there is nothing to do, since all stores have the data.
   * Fails with REQUEST_INVALID, IMAGE_STATE, SUBJECT_BUSY, IMPORT_STORE_UNKNOWN, QUOTA_EXCEEDED.
   */
  begin(image: Image, request: ImportRequest): Promise<Task | undefined>
  /** Stops an import, as if it had failed. One that has ended stays as it is. */
  cancel(task: Task): Promise<void>
  /**
   * Adds a location of the new locations API to a queued image, which is active then. Its data is hashed by a task;
   * if it has to have a certain digest, the image is importing until it was found to have it.
   * Fails with IMAGE_STATE, REQUEST_INVALID (an address of no store, formats missing), SUBJECT_BUSY.
   */
  addLocation(
    image: Image,
    url: string,
    validation: { readonly algorithm: string; readonly value: string } | undefined,
    caller: Caller,
  ): Promise<Task | undefined>
  /**
   * Changes of the old locations API, by PATCH. What has to be looked up is looked up now; what it gives makes the
   * changes, with whatever else the transaction does. Call it once, after the rest of the patch.
   * Fails with IMAGE_STATE, REQUEST_INVALID, FORBIDDEN, LIMIT_EXCEEDED, as does what it gives.
   */
  planLocations(
    image: Image,
    changes: readonly LocationChange[],
  ): Promise<(tx: Tx) => Promise<Image>>
  /** The kinds of work for the worker. */
  readonly kinds: readonly TaskKind[]
}

/** One operation of a JSON patch on `/locations`. Positions count from 0; `-` is the end. */
export type LocationChange =
  | { readonly op: 'add'; readonly position: number | '-'; readonly value: NewLocation }
  | { readonly op: 'remove'; readonly position: number | '-' }
  | { readonly op: 'replace'; readonly value: readonly NewLocation[] }

export interface NewLocation {
  readonly url: string
  readonly metadata: Readonly<Record<string, string>>
  readonly validation_data?: {
    readonly checksum?: string
    readonly os_hash_algo: string
    readonly os_hash_value: string
  }
}
