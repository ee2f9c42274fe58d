import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, messageOf } from '../base/failure.ts'
import type { Source } from '../bytes/source.ts'
import { CacheFetch, followFetch } from './_cache-fetch.ts'
import { CacheQueue } from './_cache-queue.ts'
import { CachedFiles } from './_cached-files.ts'
import type { CachedImage, ContentCache } from './content-cache.ts'

export interface ContentCacheOptions {
  /** Made if it is not there. Several processes may share one. */
  readonly directory: string
  /** Bytes of all that is kept. */
  readonly maxSize: number
  /** Opens the data of an image that was queued. */
  readonly fetch: (imageId: string) => Promise<Source>
}

/**
 * Opens the cache in a directory, and goes on with what is queued there. What the cache itself meets (no space,
 * no rights) is logged and breaks no download. Fails with FILE_UNREADABLE.
 */
export async function openContentCache(
  options: ContentCacheOptions,
  context: Context,
): Promise<ContentCache> {
  const cache = new DirectoryCache(options, context)
  try {
    await cache.start()
  } catch (error) {
    throw asFileFailure(error, options.directory)
  }
  return cache
}

class DirectoryCache implements ContentCache {
  readonly #options: ContentCacheOptions
  readonly #context: Context
  readonly #files: CachedFiles
  readonly #queue: CacheQueue
  /** What comes right now; whoever wants the same joins. */
  readonly #fetches = new Map<string, CacheFetch>()

  constructor(options: ContentCacheOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#files = new CachedFiles(options.directory, context)
    this.#queue = new CacheQueue(options.directory, (id) => this.#fetchQueued(id), context)
  }

  async start(): Promise<void> {
    await this.#files.make()
    await this.#files.removeBroken()
    await this.#queue.start()
  }

  async through(imageId: string, open: () => Promise<Source>): Promise<Source> {
    const kept = await this.#files.open(imageId)
    if (kept) {
      void this.#files.use(imageId)
      return kept
    }
    const fetch = this.#fetches.get(imageId) ?? this.#begin(imageId, open)
    const size = await fetch.join()
    if (size <= this.#options.maxSize) return followFetch(fetch, { size, name: imageId, open })
    await fetch.leave()
    return await open()
  }

  async cached(): Promise<readonly CachedImage[]> {
    return await this.#files.list()
  }

  async queued(): Promise<readonly string[]> {
    return await this.#queue.list()
  }

  async enqueue(imageId: string): Promise<void> {
    if (!(await this.#files.has(imageId))) await this.#queue.add(imageId)
  }

  async remove(imageId: string): Promise<boolean> {
    this.#fetches.get(imageId)?.forget()
    const [wasQueued, wasKept] = [
      await this.#queue.remove(imageId),
      await this.#files.remove(imageId),
    ]
    return wasQueued || wasKept
  }

  async clear(what: 'cache' | 'queue' | 'all'): Promise<void> {
    if (what !== 'cache') for (const id of await this.#queue.list()) await this.#queue.remove(id)
    if (what === 'queue') return
    for (const fetch of this.#fetches.values()) fetch.forget()
    for (const { imageId } of await this.#files.list()) await this.#files.remove(imageId)
  }

  async clean(): Promise<void> {
    await this.#files.removeBroken()
    await this.prune()
  }

  async prune(): Promise<{ files: number; bytes: number }> {
    const kept = await this.#files.list()
    const oldestFirst = kept.toSorted((a, b) => a.lastAccessed.getTime() - b.lastAccessed.getTime())
    let total = kept.reduce((sum, { size }) => sum + size, 0)
    const pruned = { files: 0, bytes: 0 }
    for (const { imageId, size } of oldestFirst) {
      if (total <= this.#options.maxSize) break
      if (!(await this.#files.remove(imageId))) continue
      total -= size
      pruned.files += 1
      pruned.bytes += size
    }
    return pruned
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fetch of this.#fetches.values()) fetch.stop()
    await this.#queue.close()
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch.run()))
  }

  #begin(imageId: string, open: () => Promise<Source>): CacheFetch {
    const path = this.#files.newPath(imageId)
    const fetch: CacheFetch = new CacheFetch(open(), {
      path,
      keep: async (size) => {
        await this.#files.add(imageId, path, size)
        if (!fetch.isKept) await this.#files.remove(imageId) // while it was taken in
        await this.prune()
      },
      onFailure: (error) =>
        this.#context.log.warn('cache.not-kept', { imageId, error: messageOf(error) }),
      onEnd: () => {
        if (this.#fetches.get(imageId) === fetch) this.#fetches.delete(imageId)
      },
    })
    this.#fetches.set(imageId, fetch)
    return fetch
  }

  async #fetchQueued(imageId: string): Promise<void> {
    if (await this.#files.has(imageId)) return
    const open = async () => await this.#options.fetch(imageId)
    const fetch = this.#fetches.get(imageId) ?? this.#begin(imageId, open)
    const size = await fetch.join()
    try {
      if (size > this.#options.maxSize) this.#context.log.warn('cache.too-large', { imageId, size })
      else if (!(await fetch.run())) throw new Failure('NO_SPACE', `${imageId} could not be kept`)
    } finally {
      await fetch.leave()
    }
  }
}
