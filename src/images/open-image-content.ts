import { mkdir } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, isFailure } from '../base/failure.ts'
import { GiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import type { Database } from '../database/database.ts'
import type { ClusterCodec } from '../formats/cluster-index.ts'
import { ClusterStores } from '../formats/cluster-stores.ts'
import { type DiskMap, parseDiskMap } from '../formats/disk-map.ts'
import { adoptDisk } from '../formats/golden.ts'
import { type ImageFormat, openImage } from '../formats/open-image.ts'
import type { Disk } from '../formats/open-disk.ts'
import type { View, ViewFormat, ViewInput } from '../formats/view.ts'
import { makeView, VIEW_FORMATS, viewFormatOf } from '../formats/views.ts'
import { readVmdkDigest } from '../formats/vmdk-digest.ts'
import type { ContentCache } from '../stores/content-cache.ts'
import type { Stores } from '../stores/store.ts'
import { OpenGoldens, type OpenGolden } from './_open-goldens.ts'
import { pruneClusters } from './_prune-clusters.ts'
import { openStoredData } from './_stored-data.ts'
import type { Catalog } from './catalog.ts'
import type { Image } from './image.ts'
import type { ImageContent, OfferedFormat, OpenContent } from './image-content.ts'
import { placesOf } from './status.ts'

export interface ContentParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly stores: Stores
  readonly cache?: ContentCache | undefined
  /** Where compressed disks are kept. Made if it is not there. */
  readonly clusterDirectory: string
  /** Bytes of them that are kept. Default 20 GiB. */
  readonly maxClusterSize?: number
  /** Milliseconds that a request waits for a disk to be compressed, before it is told to come back. Default 20 s. */
  readonly patienceMs?: number
  readonly context: Context
}

/** Closing it stops what is being compressed. What it opened has been closed before. */
export async function openImageContent(
  parts: ContentParts,
): Promise<ImageContent & AsyncDisposable> {
  try {
    await mkdir(parts.clusterDirectory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw asFileFailure(error, parts.clusterDirectory)
  }
  return new StoredContent(parts)
}

/** How the disk formats of images that hold a disk are opened. */
const DISKS: ReadonlyMap<string, ImageFormat> = new Map([
  ['raw', 'raw'],
  ['gpt', 'raw'],
  ['qcow2', 'qcow2'],
  ['vhd', 'vhd'],
  ['vhdx', 'vhdx'],
  ['vmdk', 'vmdk'],
  ['vdi', 'vdi'],
])
const STORED_TYPE = 'application/octet-stream'

class StoredContent implements ImageContent, AsyncDisposable {
  readonly #parts: ContentParts
  readonly #end = new AbortController()
  readonly #context: Context
  readonly #goldens = new OpenGoldens()

  constructor(parts: ContentParts) {
    this.#parts = parts
    const signal = AbortSignal.any([parts.context.signal, this.#end.signal])
    this.#context = { ...parts.context, signal }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Failure('INTERRUPTED', 'the server is ending'))
    await this.#goldens[Symbol.asyncDispose]()
  }

  async openStored(image: Image, prefer?: readonly string[]): Promise<OpenContent> {
    const disk = await openStoredData(image, prefer, this.#parts)
    const format = image.diskFormat ?? 'raw'
    return {
      view: storedView(disk.size, format, digestOf(image)),
      origins: { disk },
      mediaType: STORED_TYPE,
      fileName: fileNameOf(image, format),
      [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
    }
  }

  async openView(image: Image, name: string, prefer?: readonly string[]): Promise<OpenContent> {
    const format = viewFormatOf(name)
    if (format.name === image.diskFormat && isDisk(image)) {
      const stored = await this.openStored(image, prefer)
      return { ...stored, mediaType: format.mediaType }
    }
    await using opened = new AsyncDisposableStack()
    const { golden } = opened.use(await this.#use(image, prefer))
    // What is compressed goes on being so when this request has waited long enough.
    const hold = () => this.#use(image, prefer)
    const { view, store } = await this.#view(format, golden, hold)
    const using = opened.move()
    return {
      view,
      origins: { disk: golden.disk, ...(store && { store }) },
      mediaType: format.mediaType,
      fileName: fileNameOf(image, format.endings[0] ?? format.name),
      [Symbol.asyncDispose]: () => using.disposeAsync(),
    }
  }

  async formats(image: Image): Promise<readonly OfferedFormat[]> {
    if (placesOf(image).length === 0 || image.diskFormat === null) return []
    const stored: OfferedFormat = {
      name: image.diskFormat,
      mediaType: STORED_TYPE,
      size: image.size,
      digest: image.hashValue,
      stored: true,
      summary: 'the stored bytes',
    }
    if (!isDisk(image) || image.size === 0) return [stored]
    await using use = await this.#use(image)
    const { golden } = use
    const offered = VIEW_FORMATS.filter(({ name }) => name !== image.diskFormat)
    return [stored, ...offered.flatMap((format) => offer(format, golden))]
  }

  /** The golden of an image, open. Fails with VIEW_IMPOSSIBLE when it holds no disk that can be read. */
  async #use(image: Image, prefer?: readonly string[]) {
    if (image.size === 0)
      throw new Failure('VIEW_IMPOSSIBLE', `image ${image.id} is empty: it has no other formats`)
    if (!isDisk(image))
      throw new Failure(
        'VIEW_IMPOSSIBLE',
        `image ${image.id} is ${image.diskFormat} in ${image.containerFormat}: only disks have other formats`,
        { details: { id: image.id } },
      )
    // Data never changes; but where it stands may, and then it is opened there.
    const places = image.locations.map(({ id }) => id).join(' ')
    const name = [image.id, places, ...(prefer ?? [])].join(' ')
    return await this.#goldens.use(name, () => this.#openGolden(image, prefer))
  }

  async #openGolden(image: Image, prefer: readonly string[] | undefined): Promise<OpenGolden> {
    const { clusterDirectory: directory } = this.#parts
    const source = await openStoredData(image, prefer, this.#parts)
    try {
      const format = DISKS.get(image.diskFormat ?? '') ?? 'raw'
      const { disk } = await openImage(source, { format })
      const map = await this.#mapOf(image, disk, source)
      const digest = digestOf(image)
      const clusters = new ClusterStores(
        { disk, map, contentDigest: digest, directory },
        this.#context,
      )
      const close = async () => {
        await clusters[Symbol.asyncDispose]()
        await source[Symbol.asyncDispose]()
      }
      return { disk, map, digest, clusters, close }
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The map that was kept when the data came; else it is made now, and kept. */
  async #mapOf({ id }: Image, disk: Disk, source: Source): Promise<DiskMap> {
    const { database, catalog } = this.#parts
    const bytes = await catalog.readAttachment(id, 'map')
    const kept = bytes && parseDiskMap(bytes, `map of image ${id}`)
    if (kept?.size === disk.size) return kept
    const { map } = await adoptDisk(disk, source, this.#context)
    await database.write(async (tx) => {
      if (await catalog.get(id, tx)) await catalog.writeAttachment(tx, id, 'map', map.toBytes())
    })
    return map
  }

  async #view(
    format: ViewFormat,
    golden: OpenGolden,
    hold: () => Promise<AsyncDisposable>,
  ): Promise<{ view: View; store?: Source }> {
    const { needs } = format
    if (needs === 'map') return { view: makeView(format.name, inputOf(golden)) }
    const held = await hold()
    const work = this.#prepare(format, needs, golden).finally(() => held[Symbol.asyncDispose]())
    const { payload, ...made } = await this.#inTime(work, () => golden.clusters.progress(needs))
    return { view: makeView(format.name, { ...inputOf(golden), ...made }), store: payload }
  }

  /** What a compressed format is made of. */
  async #prepare(format: ViewFormat, codec: ClusterCodec, golden: OpenGolden) {
    const { clusterDirectory, maxClusterSize = 20 * GiB } = this.#parts
    const isNew = golden.clusters.ready(codec) === undefined
    const { index: clusters, payload } = await golden.clusters.open(codec)
    if (isNew) await pruneClusters(clusterDirectory, maxClusterSize)
    if (format.usesVmdkDigest !== true) return { clusters, payload }
    const input = { ...inputOf(golden), clusters }
    golden.vmdkDigest ??= readVmdkDigest(input, payload, this.#context.signal)
    try {
      return { clusters, payload, vmdkDigest: await golden.vmdkDigest }
    } catch (error) {
      golden.vmdkDigest = undefined // the next request tries again
      throw error
    }
  }

  /** Fails with NOT_READY when it takes long; the work goes on. */
  async #inTime<Value extends object>(
    work: Promise<Value>,
    progress: () => number | undefined,
  ): Promise<Value> {
    work.catch(() => {}) // told to whoever asks next
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), this.#parts.patienceMs ?? 20_000)
    try {
      const value = await Promise.race([work, late.promise])
      if (value !== undefined) return value
    } finally {
      clearTimeout(timer)
    }
    const percent = Math.floor((progress() ?? 1) * 100)
    throw new Failure('NOT_READY', `the disk is being compressed (${percent} %)`, {
      details: { percent },
    })
  }
}

function isDisk({ diskFormat, containerFormat }: Image): boolean {
  return containerFormat === 'bare' && DISKS.has(diskFormat ?? '')
}

/** Another for other bytes. */
function digestOf({ id, hashValue, checksum, size }: Image): string {
  return hashValue ?? checksum ?? `${id}-${size}`
}

function inputOf({ map, digest }: OpenGolden): ViewInput {
  return { map, identity: digest, contentDigest: digest }
}

/** The stored bytes as a view: one piece, copied. */
function storedView(length: number, format: string, digest: string): View {
  return {
    format,
    length,
    etag: `"${digest}"`,
    pieces: (from, to) =>
      from === to ? [] : [{ kind: 'copy', of: 'disk', offset: from, length: to - from }],
  }
}

/** A format as a row of the list; none if the disk does not fit it. */
function offer(format: ViewFormat, golden: OpenGolden): OfferedFormat[] {
  const { name, mediaType, summary, needs, usesVmdkDigest } = format
  const row = { name, mediaType, digest: null, stored: false, summary }
  try {
    const clusters = needs === 'map' ? undefined : golden.clusters.ready(needs)?.index
    if (needs !== 'map' && (clusters === undefined || usesVmdkDigest === true))
      return [{ ...row, size: null }]
    const { length } = makeView(name, { ...inputOf(golden), ...(clusters && { clusters }) })
    return [{ ...row, size: length }]
  } catch (error) {
    if (isFailure(error, 'VIEW_IMPOSSIBLE')) return []
    throw error
  }
}

function fileNameOf({ id, name }: Image, ending: string): string {
  return `${name ?? id}.${ending}`
}
