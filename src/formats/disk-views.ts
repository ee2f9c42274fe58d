/**
 * Every format of one disk, for those who give them out to many: each is made once, whoever asks first. Those
 * that are compressed stream while their clusters are made, if their first bytes do not depend on their last.
 */
import type { Context } from '../base/context.ts'
import { inTime } from '../base/in-time.ts'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import type { Origin } from '../bytes/piece.ts'
import type { Source } from '../bytes/source.ts'
import { listenForDigest, type ViewListener } from './view-listener.ts'
import type { ClusterIndex } from './cluster-index.ts'
import type { ClusterStore } from './cluster-store.ts'
import { ClusterStores, type StoredDisk } from './cluster-stores.ts'
import { type StreamedPieces, streamView } from './stream-view.ts'
import type { View, ViewFormat, ViewInput } from './view.ts'
import { etagToBe, makeView, orderView } from './views.ts'
import { readVmdkDigest } from './vmdk-digest.ts'

/** A view of which everything is known. */
export interface MadeView {
  readonly view: View
  /** Where its bytes stand. */
  readonly origins: Readonly<Partial<Record<Origin, Source>>>
}

/** One that has to be made first. */
export interface UnmadeView {
  readonly view?: undefined
  /** What it will have; undefined if nobody knows yet. */
  readonly etag: string | undefined
  /**
   * Begins to make it, and tells it from its first byte to its last, which nobody knows yet; undefined if it can
   * only be had whole.
   */
  stream(signal: AbortSignal): AsyncIterable<StreamedPieces> | undefined
  /** Makes it. It goes on when nobody waits any more, for those who come later. Fails with INTERRUPTED by the signal. */
  whole(signal: AbortSignal): Promise<MadeView>
}

export interface ServedDisk extends StoredDisk {
  /** See `ViewInput`. */
  readonly identity: string
  /** SHA-256 of views, by their ETags, as far as they are known. */
  readonly digests?: Iterable<readonly [etag: string, digest: string]> | undefined
  /** Told of others as they become known. */
  readonly onDigest?: ((etag: string, digest: string) => void) | undefined
  /** Where digests are computed; without them nobody hears what is sent. */
  readonly digestThreads?: DigestThreads | undefined
}

/** What is made of the disk only, or of compressed clusters. */
type Parts = Pick<ViewInput, 'clusters' | 'vmdkDigest'>

export class DiskViews implements AsyncDisposable {
  readonly #disk: ServedDisk
  readonly #context: Context
  readonly #stores: ClusterStores
  readonly #digests: Map<string, string>
  readonly #views = new Map<ViewFormat, View>()
  readonly #heard = new Set<string>()
  #vmdkDigest: Promise<string> | undefined

  constructor(disk: ServedDisk, context: Context) {
    this.#disk = disk
    this.#context = context
    this.#stores = new ClusterStores(disk, context)
    this.#digests = new Map(disk.digests)
  }

  /** Closes; what is being made is interrupted by the context's signal. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vmdkDigest?.catch(() => {})
    await this.#stores[Symbol.asyncDispose]()
  }

  /** The disk in a format. Nothing is made yet. Fails with VIEW_IMPOSSIBLE when it does not fit. */
  async open(format: ViewFormat): Promise<MadeView | UnmadeView> {
    const { needs } = format
    const store = needs === 'map' ? undefined : await this.#stores.find(needs)
    const parts = this.#partsOf(format, store?.index)
    if (parts !== undefined) return this.#made(format, parts, store)
    const etag = this.#etagToBe(format)
    return {
      etag: format.usesVmdkDigest === true ? undefined : etag,
      stream: (signal) => this.#stream(format, signal),
      whole: async (signal) => await inTime(this.#whole(format), signal),
    }
  }

  /** Looks for what was kept by an earlier run, so that `known` knows of it. */
  async find(): Promise<void> {
    await Promise.all([this.#stores.find('deflate'), this.#stores.find('zstd')])
  }

  /** The view of a format if nothing is left to be made for it. Fails with VIEW_IMPOSSIBLE. */
  known(format: ViewFormat): View | undefined {
    const { needs } = format
    const clusters = needs === 'map' ? undefined : this.#stores.ready(needs)?.index
    const parts = this.#partsOf(format, clusters)
    if (parts !== undefined) return this.#viewOf(format, parts)
    this.#etagToBe(format)
    return undefined
  }

  /** Hexadecimal SHA-256 of the view with that ETag, once somebody was sent all of it. */
  digestOf(etag: string): string | undefined {
    return this.#digests.get(etag)
  }

  /** For whoever is going to send all of a view; undefined if its digest is known, or is being computed. */
  listen(etag: string): ViewListener | undefined {
    const { digestThreads } = this.#disk
    if (digestThreads === undefined || this.#digests.has(etag) || this.#heard.has(etag))
      return undefined
    this.#heard.add(etag)
    return listenForDigest(
      digestThreads,
      (digest) => this.#learn(etag, digest),
      () => this.#heard.delete(etag),
    )
  }

  /** How much of a format is made, from 0 to 1; undefined when nobody is at work on it. */
  progress({ needs }: ViewFormat): number | undefined {
    return needs === 'map' ? undefined : this.#stores.progress(needs)
  }

  /** What a view of the format is made of, if all of that is there. */
  #partsOf(format: ViewFormat, clusters: ClusterIndex | undefined): Parts | undefined {
    if (format.needs === 'map') return {}
    if (clusters === undefined) return undefined
    if (format.usesVmdkDigest !== true) return { clusters }
    const vmdkDigest = this.#digests.get(etagToBe('vmdk-stream', this.#input({ clusters })))
    return vmdkDigest === undefined ? undefined : { clusters, vmdkDigest }
  }

  #made(format: ViewFormat, parts: Parts, store: ClusterStore | undefined): MadeView {
    const { disk } = this.#disk
    const origins = { disk, ...(store && { store: store.payload }) }
    return { view: this.#viewOf(format, parts), origins }
  }

  #viewOf(format: ViewFormat, parts: Parts): View {
    const view = this.#views.get(format) ?? makeView(format.name, this.#input(parts))
    this.#views.set(format, view)
    return view
  }

  #input(parts: Parts & Pick<ViewInput, 'edition'>): ViewInput {
    const { map, identity, contentDigest } = this.#disk
    return { map, identity, contentDigest, ...parts }
  }

  /** Fails with VIEW_IMPOSSIBLE. */
  #etagToBe({ name, needs }: ViewFormat): string {
    const edition = needs === 'map' ? undefined : this.#stores.edition(needs)
    return etagToBe(name, this.#input({ edition }))
  }

  #stream(format: ViewFormat, signal: AbortSignal): AsyncIterable<StreamedPieces> | undefined {
    const { needs, name, order } = format
    if (needs === 'map' || order === undefined) return undefined
    const growing = this.#stores.grow(needs)
    const content = orderView(name, this.#input({ clusters: growing.index }))
    return content && streamView(content, growing, this.#disk.disk, signal)
  }

  async #whole(format: ViewFormat): Promise<MadeView> {
    const { needs } = format
    if (needs === 'map') return this.#made(format, {}, undefined)
    const store = await this.#stores.open(needs)
    const clusters = store.index
    if (format.usesVmdkDigest !== true) return this.#made(format, { clusters }, store)
    return this.#made(format, { clusters, vmdkDigest: await this.#readVmdkDigest(store) }, store)
  }

  /** Reads all of the VMDK inside an OVA, once. */
  async #readVmdkDigest({ index: clusters, payload }: ClusterStore): Promise<string> {
    const input = this.#input({ clusters })
    const { digestThreads, onWork } = this.#disk
    const etag = etagToBe('vmdk-stream', input)
    const known = this.#digests.get(etag)
    if (known !== undefined) return known
    if (this.#vmdkDigest === undefined) {
      this.#vmdkDigest = readVmdkDigest(input, payload, this.#context.signal, digestThreads)
      onWork?.(this.#vmdkDigest)
    }
    try {
      const digest = await this.#vmdkDigest
      this.#learn(etag, digest)
      return digest
    } catch (error) {
      this.#vmdkDigest = undefined // the next request tries again
      throw error
    }
  }

  #learn(etag: string, digest: string): void {
    if (this.#digests.has(etag)) return
    this.#digests.set(etag, digest)
    this.#disk.onDigest?.(etag, digest)
  }
}
