/**
 * Copies of data of remote stores on this machine: whole files, made on the first download (one fetch, however
 * many ask), removed by age of use when there are too many. Source: the cache of the Image API, 2.14 to 2.18.
 */
import type { Source } from '../bytes/source.ts'

export interface CachedImage {
  readonly imageId: string
  readonly size: number
  readonly hits: number
  readonly lastAccessed: Date
  readonly lastModified: Date
}

export interface ContentCache extends AsyncDisposable {
  /** The data of an image: from here if it is here; else by `open`, keeping what passes when it was whole. */
  through(imageId: string, open: () => Promise<Source>): Promise<Source>
  cached(): Promise<readonly CachedImage[]>
  queued(): Promise<readonly string[]>
  /** Fetches an image soon, by `fetch`, which was given when the cache was opened. */
  enqueue(imageId: string): Promise<void>
  /** Forgets one, or all that are cached or queued. */
  remove(imageId: string): Promise<boolean>
  clear(what: 'cache' | 'queue' | 'all'): Promise<void>
  /** Removes what is broken or unfinished; what is least used until the rest fits. */
  clean(): Promise<void>
  prune(): Promise<{ files: number; bytes: number }>
}
