/**
 * Makes cluster stores, once for all who wait: each reads at its own pace what is made already, without
 * holding up the others.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { inTime } from '../base/in-time.ts'
import type { Turns } from '../base/turns.ts'
import { writeAll } from '../bytes/sinks.ts'
import {
  checkRange,
  type DirectSource,
  memorySource,
  readAnew,
  type Source,
} from '../bytes/source.ts'
import { writeWholeFiles } from '../bytes/whole-file.ts'
import { editionOf } from './_pack-cluster.ts'
import { giveBack } from './_cluster-thread.ts'
import { packDisk } from './_pack-disk.ts'
import { type ClusterCodec, type ClusterIndex, ClusterIndexBuilder } from './cluster-index.ts'
import { type ClusterStore, clusterStoreEnd } from './cluster-store.ts'
import type { DiskMap } from './disk-map.ts'

/**
 * The levels used unless another is asked for. Deflate at 4 gives within 1.5 % of the size of level 6
 * in 0.8 of its time; zstd at 3 is the level of the zstd command.
 */
const DEFAULT_LEVELS: Readonly<Record<ClusterCodec, number>> = {
  deflate: 4,
  'deflate-wide': 4,
  zstd: 3,
}

const MAX_LEVELS: Readonly<Record<ClusterCodec, number>> = {
  deflate: 9,
  'deflate-wide': 9,
  zstd: 19,
}

export interface ClusterStoreOptions {
  readonly disk: Source
  readonly map: DiskMap
  readonly codec: ClusterCodec
  /** 1 to 9 for deflate, 1 to 19 for zstd; see `DEFAULT_LEVELS`. */
  readonly level?: number | undefined
  readonly path: string
  /** Default: one for each processor. The bytes do not depend on it. */
  readonly threads?: number | undefined
  /** The threads give way to all else that wants a processor. Default false. */
  readonly yields?: boolean | undefined
  /** Who compresses takes one. */
  readonly turns?: Turns | undefined
}

/** Hexadecimal: what compressing with these would give; see `ClusterIndex.edition`. Fails with USAGE (level). */
export function compressionOf(
  codec: ClusterCodec,
  level: number = DEFAULT_LEVELS[codec],
): { readonly codec: ClusterCodec; readonly level: number; readonly edition: string } {
  if (!Number.isInteger(level) || level < 1 || level > MAX_LEVELS[codec])
    throw new Failure('USAGE', `no level ${level} of ${codec}; wanted 1 to ${MAX_LEVELS[codec]}`)
  return { codec, level, edition: editionOf({ codec, level }) }
}

/**
 * Makes the store of a disk, whole or not at all, and opens it. The same disk, codec and level give the
 * same bytes (with the same release of Node, whose compressors these are). Tells progress as bytes of
 * data compressed, under the name `compress`.
 *
 * Fails with USAGE (level), INTERRUPTED, NO_SPACE, FILE_NOT_FOUND, FILE_UNREADABLE, and with what the
 * disk fails with.
 */
export async function makeClusterStore(
  options: ClusterStoreOptions,
  context: Context,
): Promise<ClusterStore> {
  return await new GrowingStore(options, context).whole
}

/** A store that is being made, from now on. */
export class GrowingStore {
  /** Of the clusters that were made until now. */
  readonly index: ClusterIndex
  /** Their payloads. They can be read as long as somebody holds the store, or the whole is open. */
  readonly payload: Source
  /** Fails as `makeClusterStore` does. */
  readonly whole: Promise<ClusterStore>
  readonly #options: ClusterStoreOptions & { readonly level: number }
  readonly #context: Context
  readonly #builder: ClusterIndexBuilder
  #file: FileHandle | undefined
  #payloadSize = 0
  #hasFailed = false
  #holders = 0
  /** Resolves with the next clusters. */
  #next = Promise.withResolvers<void>()

  /** Fails with USAGE (level). */
  constructor(options: ClusterStoreOptions, context: Context) {
    const { codec, level, edition } = compressionOf(options.codec, options.level)
    this.#options = { ...options, level }
    this.#context = context
    this.#builder = new ClusterIndexBuilder(options.map, codec, level, edition)
    this.index = this.#builder.index
    this.payload = this.#openPayload()
    this.whole = this.#make()
    this.whole.catch((error: unknown) => {
      this.#next.promise.catch(() => {}) // told to those who ask for more
      this.#next.reject(error)
    })
  }

  /** How much is made, from 0 to 1. */
  get progress(): number {
    return this.index.count === 0 ? 1 : this.#builder.added / this.index.count
  }

  /**
   * Waits for clusters behind the first `count`; how many there are then, which is all of them if there are
   * none behind. Fails as making does, and with INTERRUPTED by the signal.
   */
  async more(count: number, signal: AbortSignal): Promise<number> {
    if (this.#hasFailed && this.#file === undefined) await this.whole
    while (this.#builder.added <= count && count < this.index.count)
      await inTime(this.#next.promise, signal)
    return this.#builder.added
  }

  /** What was made stays readable until all holds are over, whatever becomes of the rest. */
  hold(): Disposable {
    this.#holders++
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        this.#holders--
        if (this.#hasFailed) this.#letGo()
      },
    }
  }

  /**
   * The clusters from one on, compressed for the caller alone and kept nowhere: for those who are on their way
   * when the store cannot be written any further. Tells each time payloads, and the cluster behind them. Fails with
   * INTERRUPTED, and with what the disk fails with.
   */
  async *alone(from: number, signal: AbortSignal): AsyncGenerator<{ store: Source; to: number }> {
    const stop = AbortSignal.any([signal, this.#context.signal])
    using _ = await this.#options.turns?.take(stop)
    const context = { signal: stop, progress: () => {} }
    let cluster = from
    for await (const packed of packDisk({ ...this.#options, from }, context)) {
      this.#builder.put(cluster, packed) // every time the same
      const start = this.index.offset(cluster)
      cluster += packed.lengths.length
      const bytes = memorySource(packed.payload)
      const read = (offset: number, length: number) => bytes.read(offset - start, length)
      yield { to: cluster, store: { ...bytes, read } }
    }
  }

  async #make(): Promise<ClusterStore> {
    const { path, turns } = this.#options
    try {
      using _ = await turns?.take(this.#context.signal)
      await writeWholeFiles([path], 'clusters', async ([working = path]) => {
        const file = await open(working, 'wx+')
        this.#file = file
        await this.#writeTo(file)
      })
    } catch (error) {
      this.#hasFailed = true
      this.#letGo()
      throw error
    }
    const { index, payload } = this
    return { index, payload, [Symbol.asyncDispose]: async () => await this.#file?.close() }
  }

  async #writeTo(file: FileHandle): Promise<void> {
    for await (const packed of packDisk({ ...this.#options, from: 0 }, this.#context)) {
      await writeAll(file, packed.payload, this.#payloadSize)
      this.#payloadSize += packed.payload.length
      this.#builder.add(packed)
      giveBack(packed)
      this.#next.resolve()
      this.#next = Promise.withResolvers()
    }
    const index = this.#builder.toBytes()
    await writeAll(file, index, this.#payloadSize)
    await writeAll(
      file,
      clusterStoreEnd(this.#payloadSize, this.index),
      this.#payloadSize + index.length,
    )
  }

  #openPayload(): Source {
    const size = () => this.#payloadSize
    const { path: name } = this.#options
    const readInto = async (target: Uint8Array, offset: number) => {
      const { length } = target
      checkRange(payload, offset, length)
      for (let done = 0; done < length;) {
        const read = await this.#file?.read(target, done, length - done, offset + done)
        if (!read?.bytesRead) throw new Failure('IMAGE_TRUNCATED', `${name} became shorter`)
        done += read.bytesRead
      }
    }
    const payload: DirectSource = {
      name,
      get size() {
        return size()
      },
      read: (offset, length) => readAnew(payload, offset, length),
      readInto,
      [Symbol.asyncDispose]: async () => {},
    }
    return payload
  }

  #letGo(): void {
    if (this.#holders > 0) return
    void this.#file?.close().catch(() => {}) // nobody reads it, and it has no name any more
    this.#file = undefined
  }
}
