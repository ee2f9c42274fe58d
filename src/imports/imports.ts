/**
 * Imports: ways to bring data into an image that outlive their request. An import is a task of the ledger; its
 * kinds (`kinds/`) are handed to the worker. Methods (`methods/`) say where data comes from, steps (`steps/`)
 * what is done to it on the way. Made by `openImports` (`open-imports.ts`).
 */
import type { Caller } from '../access/caller.ts'
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
}

export interface Imports {
  /** The configured methods, in order, with what they are. */
  readonly methods: readonly { readonly name: string; readonly summary: string }[]
  /**
   * Checks the request and the image, and begins: the record is locked and says so, the task is in the ledger.
   * Fails with REQUEST_INVALID, IMAGE_STATE, SUBJECT_BUSY, STORE_UNKNOWN, QUOTA_EXCEEDED.
   */
  begin(image: Image, request: ImportRequest): Promise<Task>
  /** Adds a location of the new locations API; its data is hashed by a task. */
  addLocation(
    image: Image,
    url: string,
    validation: { readonly algorithm: string; readonly value: string } | undefined,
    caller: Caller,
  ): Promise<Task | undefined>
  /** The kinds of work for the worker. */
  readonly kinds: readonly TaskKind[]
}
