import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import {
  type ClusterStore,
  type ClusterStoreOptions,
  makeClusterStore,
  openClusterStore,
} from './cluster-store.ts'
import type { ClusterCodec } from './cluster-index.ts'

type Making = Omit<ClusterStoreOptions, 'codec' | 'path'> & {
  /** A store is used again only for the same content. */
  readonly contentDigest: string
  /** Where stores are kept. It exists. */
  readonly directory: string
}

/** The cluster stores of one disk: found where they were kept, or made when they are first needed. */
export class ClusterStores implements AsyncDisposable {
  readonly #making: Making
  readonly #context: Context
  readonly #opened = new Map<ClusterCodec, Promise<ClusterStore>>()
  readonly #ready = new Map<ClusterCodec, ClusterStore>()
  readonly #done = new Map<ClusterCodec, number>()

  constructor(making: Making, context: Context) {
    this.#making = making
    this.#context = context
  }

  /** Fails as `makeClusterStore`; asked again after that, it is tried again. */
  async open(codec: ClusterCodec): Promise<ClusterStore> {
    let opening = this.#opened.get(codec)
    if (opening === undefined) {
      opening = this.#openOrMake(codec)
      this.#opened.set(codec, opening)
      void opening.then(
        (store) => this.#ready.set(codec, store),
        () => this.#opened.delete(codec),
      )
    }
    return await opening
  }

  /** The one that is there already; undefined while it is not. */
  ready(codec: ClusterCodec): ClusterStore | undefined {
    return this.#ready.get(codec)
  }

  /** How much of it is made, from 0 to 1; undefined when nobody is at work on it. */
  progress(codec: ClusterCodec): number | undefined {
    return this.#done.get(codec)
  }

  /** Closes; what is being made is interrupted by the context's signal. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of await Promise.allSettled(this.#opened.values()))
      if (opened.status === 'fulfilled') await opened.value[Symbol.asyncDispose]()
  }

  async #openOrMake(codec: ClusterCodec): Promise<ClusterStore> {
    const { contentDigest, directory, ...making } = this.#making
    const path = join(directory, `${contentDigest}-${making.level ?? 'default'}.${codec}`)
    const kept = await this.#openKept(path, codec)
    if (kept !== undefined) return kept
    const { log } = this.#context
    log.info('clusters.make', { codec, path })
    const progress: Context['progress'] = (event) => {
      if (event.kind === 'bytes' && event.total) this.#done.set(codec, event.done / event.total)
      this.#context.progress(event)
    }
    this.#done.set(codec, 0)
    try {
      return await makeClusterStore({ ...making, codec, path }, { ...this.#context, progress })
    } finally {
      this.#done.delete(codec)
    }
  }

  /** A store of an earlier run; one that is damaged, or of another disk, is made again. */
  async #openKept(path: string, codec: ClusterCodec): Promise<ClusterStore | undefined> {
    try {
      const store = await openClusterStore(path)
      const { index } = store
      if (index.codec === codec && index.map.digest === this.#making.map.digest) return store
      await store[Symbol.asyncDispose]()
    } catch (error) {
      if (!isFailure(error)) throw error
      if (error.code !== 'FILE_NOT_FOUND')
        this.#context.log.warn('clusters.unusable', { path, message: error.message })
    }
    return undefined
  }
}
