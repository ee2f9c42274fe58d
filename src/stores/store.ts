/**
 * Stores: places where image data lives. A driver (`drivers/`) is the code for one kind of place; a store is
 * one configured place, opened through the gate (`open-store.ts`), which checks, counts, names the store in
 * every failure, and does the plain way what a driver leaves out. Stores know keys and bytes, not images.
 *
 * Objects are whole or not there, and never change: a new upload is a new key.
 */
import type { Static, TSchema } from 'typebox'
import type { Context } from '../base/context.ts'
import type { Source } from '../bytes/source.ts'

/** A kind of place. Whoever holds drivers of any kind hands each options that its schema accepts. */
export interface StoreDriver<Options = unknown> {
  /** `file`, `s3`: the `type` in the configuration, and the scheme of its locations. */
  readonly name: string
  readonly summary: string
  /** Checked by the gate. Fields with `secret: true` are not shown. */
  readonly options: TSchema
  open(options: Options, context: StoreContext): Promise<DriverStore>
}

/** Types a driver's `open` by its schema of options. */
export function defineStoreDriver<const Options extends TSchema>(
  driver: Omit<StoreDriver, 'open' | 'options'> & {
    readonly options: Options
    open(options: Static<Options>, context: StoreContext): Promise<DriverStore>
  },
): StoreDriver<Static<Options>> {
  return driver
}

export interface StoreContext extends Context {
  /** The service's directory on this machine, in which a driver may have one by default. */
  readonly dataDir: string
}

/**
 * What a driver implements. The gate has checked keys and all ranges. Keys are `[A-Za-z0-9._-]{1,200}`
 * without `..`; those of a read-only place are whatever its `keyOf` gave. System errors fly as they are.
 */
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
  /**
   * The key in an address that `locate` gave, or undefined if it is none of this store's. Left out: the last
   * part of the path, if `locate` makes the same address of it.
   */
  keyOf?(url: string): string | undefined
  /** Everything that stands there, unfinished objects too, to find what nobody names. Left out: cannot tell. */
  list?(): AsyncIterable<ListedObject>
  /** Bytes that still fit; left out: nobody knows. */
  free?(): Promise<number>
}

/** What stands in a store. `size` is in bytes, holes and all. */
export interface ListedObject {
  readonly key: string
  readonly size: number
  readonly modifiedAt: Date
  readonly finished: boolean
}

/** An object that is being written. Disposing of one that was not finished leaves nothing. */
export interface ObjectWriter extends AsyncDisposable {
  /** Resolves when `bytes` may be used for something else. One at a time. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Makes a part zeros: a hole where the place knows holes. Left out means they are written. */
  zeros?(offset: number, length: number): Promise<void>
  /**
   * Gives it its size (what was not written is zeros), and makes it stand for good, also after a power failure.
   * What was written behind `size`, where any order is taken, is dropped; where writes go in order, it is never less
   * than was written, and the gate has written every byte before.
   */
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
  readonly counters: Readonly<StoreCounters>
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
  list?(): AsyncIterable<ListedObject>
  free(): Promise<number | undefined>
}

/** What a store has done since it was opened; `/metrics` shows it. */
export interface StoreCounters {
  /** Objects that were finished, opened, removed. */
  created: number
  opened: number
  removed: number
  /** Bytes that passed the gate; those that the kernel moves from a `file` by itself do not. */
  bytesWritten: number
  bytesRead: number
  /** Operations that failed, except for objects that are not there. */
  failures: number
}

/** All configured stores. */
export interface Stores extends AsyncDisposable {
  /** By weight, the largest first. */
  readonly all: readonly Store[]
  readonly default: Store
  /** Fails with STORE_UNKNOWN. */
  get(id: string): Store
}
