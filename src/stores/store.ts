/**
 * Stores: places where image data lives. A driver (`drivers/`) is the code for one kind of place; a store is
 * one configured place, opened through the gate (`open-store.ts`), which checks, counts, names the store in
 * every failure, and does the plain way what a driver leaves out. Stores know keys and bytes, not images.
 *
 * Objects are whole or not there, and never change: a new upload is a new key.
 */
import type { TSchema } from 'typebox'
import type { Context } from '../base/context.ts'
import type { Source } from '../bytes/source.ts'

/** A kind of place. */
export interface StoreDriver<Options = never> {
  /** `file`, `s3`: the `type` in the configuration, and the scheme of its locations. */
  readonly name: string
  readonly summary: string
  readonly options: TSchema
  open(options: Options, context: Context): Promise<DriverStore>
}

/** What a driver implements. Keys are `[A-Za-z0-9._-]{1,200}`; the gate has checked them and all ranges. */
export interface DriverStore extends AsyncDisposable {
  /** Nothing can be written or removed: `create` and `remove` are never called. */
  readonly readOnly?: boolean
  /** Whether writers take writes in any order; if not, each begins where the last ended. */
  readonly anyOrder: boolean
  /** What `GET /v2/info/stores/detail` shows of it: no secrets. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
  /** Begins an object that nobody sees before it is finished. `size`: if it is known, bytes. */
  create(key: string, size: number | undefined): Promise<ObjectWriter>
  /**
   * The object, to be read at any offset. One in the local file system has a `file`.
   * Fails with OBJECT_NOT_FOUND.
   */
  open(key: string): Promise<Source>
  /** Removes an object, or what is left of one that was never finished; that there is none is no failure. */
  remove(key: string): Promise<void>
  /** The object's address, as catalogs show it: `file:///…`, `swift+https://…`. */
  locate(key: string): string
  /** The key in an address that `locate` gave, or undefined if it is none of this store's. */
  keyOf?(url: string): string | undefined
  /** Everything that stands there, unfinished objects too, to find what nobody names. Left out: cannot tell. */
  list?(): AsyncIterable<{ key: string; size: number; modifiedAt: Date; finished: boolean }>
  /** Bytes that still fit; left out: nobody knows. */
  free?(): Promise<number>
}

/** An object that is being written. Disposing of one that was not finished leaves nothing. */
export interface ObjectWriter extends AsyncDisposable {
  /** Resolves when `bytes` may be used for something else. One at a time. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Makes a part zeros: a hole where the place knows holes. Left out means they are written. */
  zeros?(offset: number, length: number): Promise<void>
  /** Gives it its size (what was not written is zeros), and makes it stand for good, also after a power failure. */
  finish(size: number): Promise<void>
  /** Gives up, and leaves nothing. */
  discard(): Promise<void>
}

/** A configured place, behind the gate. */
export interface Store extends AsyncDisposable {
  /** As the configuration calls it. */
  readonly id: string
  readonly description: string
  readonly driver: string
  readonly readOnly: boolean
  /** Larger is preferred, for downloads. */
  readonly weight: number
  readonly anyOrder: boolean
  readonly properties: Readonly<Record<string, string | number | boolean>>
  /**
   * Fails with STORE_READ_ONLY, STORE_FULL, STORE_DENIED, STORE_AWAY; so do the writer's functions. A
   * writer's `zeros` is always there.
   */
  create(key: string, size?: number): Promise<Required<ObjectWriter>>
  /** Reads are checked and counted. Fails with OBJECT_NOT_FOUND, STORE_DENIED, STORE_AWAY. */
  open(key: string): Promise<Source>
  remove(key: string): Promise<void>
  locate(key: string): string
  keyOf(url: string): string | undefined
  list?(): AsyncIterable<{ key: string; size: number; modifiedAt: Date; finished: boolean }>
  free(): Promise<number | undefined>
}

/** All configured stores. */
export interface Stores extends AsyncDisposable {
  /** By weight, the largest first. */
  readonly all: readonly Store[]
  readonly default: Store
  /** Fails with STORE_UNKNOWN. */
  get(id: string): Store
}
