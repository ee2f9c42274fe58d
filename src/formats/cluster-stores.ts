import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import type { ClusterCodec } from './cluster-index.ts'
import { type ClusterStore, openClusterStore } from './cluster-store.ts'
import { type ClusterStoreOptions, compressionOf, GrowingStore } from './make-cluster-store.ts'

export type StoredDisk = Omit<ClusterStoreOptions, 'codec' | 'path'> & {
  /** A store is used again only for the same content. */
  readonly contentDigest: string
  /** Where stores are kept. It exists. */
  readonly directory: string
  /** Told of work that needs the disk to stay open until it is done, or has failed. */
  readonly onWork?: ((done: Promise<unknown>) => void) | undefined
}

/** The cluster stores of one disk: found where they were kept, or made once for all who want them. */
export class ClusterStores implements AsyncDisposable {
  readonly #disk: StoredDisk
  readonly #context: Context
  readonly #kept = new Map<ClusterCodec, Promise<ClusterStore | undefined>>()
  readonly #ready = new Map<ClusterCodec, ClusterStore>()
  readonly #growing = new Map<ClusterCodec, GrowingStore>()
  readonly #editions = new Map<ClusterCodec, string>()

  constructor(disk: StoredDisk, context: Context) {
    this.#disk = disk
    this.#context = context
  }

  /** The one that is there, open or kept by an earlier run, or will be in a moment; it is not made if there is none. */
  async find(codec: ClusterCodec): Promise<ClusterStore | undefined> {
    let kept = this.#kept.get(codec)
    if (kept === undefined) this.#kept.set(codec, (kept = this.#openKept(codec)))
    await kept
    const growing = this.#growing.get(codec)
    if (growing?.progress === 1) await growing.whole.catch(() => {}) // told to who asks for it whole
    return this.#ready.get(codec)
  }

  /** The one that is there already; undefined while it is not. */
  ready(codec: ClusterCodec): ClusterStore | undefined {
    return this.#ready.get(codec)
  }

  /**
   * The one that is being made, from now on if nobody has begun: once `find` has found none. When it fails,
   * the next call begins again. Fails with USAGE (level).
   */
  grow(codec: ClusterCodec): GrowingStore {
    let growing = this.#growing.get(codec)
    if (growing === undefined) {
      growing = new GrowingStore({ ...this.#disk, codec, path: this.#pathOf(codec) }, this.#context)
      this.#growing.set(codec, growing)
      this.#disk.onWork?.(growing.whole)
      this.#context.log.info('clusters.make', { codec, path: this.#pathOf(codec) })
      void growing.whole.then(
        (store) => this.#ready.set(codec, store),
        () => this.#growing.delete(codec),
      )
    }
    return growing
  }

  /** Found or made, whole. Fails as `makeClusterStore` does. */
  async open(codec: ClusterCodec): Promise<ClusterStore> {
    return (await this.find(codec)) ?? (await this.grow(codec).whole)
  }

  /** What the store has for an edition, or would have. Fails with USAGE (level). */
  edition(codec: ClusterCodec): string {
    const { index } = this.#ready.get(codec) ?? this.#growing.get(codec) ?? {}
    if (index !== undefined) return index.edition
    const edition = this.#editions.get(codec) ?? compressionOf(codec, this.#disk.level).edition
    this.#editions.set(codec, edition)
    return edition
  }

  /** How much of it is made, from 0 to 1; undefined when nobody is at work on it. */
  progress(codec: ClusterCodec): number | undefined {
    if (this.#ready.has(codec)) return undefined
    return this.#growing.get(codec)?.progress
  }

  /** Closes; what is being made is interrupted by the context's signal. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#growing.values()].map(({ whole }) => whole))
    await Promise.allSettled(this.#kept.values())
    for (const store of this.#ready.values()) await store[Symbol.asyncDispose]()
  }

  #pathOf(codec: ClusterCodec): string {
    const { directory, contentDigest, level = 'default' } = this.#disk
    return join(directory, `${contentDigest}-${level}.${codec}`)
  }

  /** A store of an earlier run; one that is damaged, or of another disk, is made again. */
  async #openKept(codec: ClusterCodec): Promise<ClusterStore | undefined> {
    const path = this.#pathOf(codec)
    try {
      const store = await openClusterStore(path)
      const { index } = store
      if (index.codec === codec && index.map.digest === this.#disk.map.digest) {
        this.#ready.set(codec, store)
        return store
      }
      await store[Symbol.asyncDispose]()
    } catch (error) {
      if (!isFailure(error)) throw error
      if (error.code !== 'FILE_NOT_FOUND')
        this.#context.log.warn('clusters.unusable', { path, message: error.message })
    }
    return undefined
  }
}
