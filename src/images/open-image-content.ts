import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, isFailure } from '../base/failure.ts'
import { Turns } from '../base/turns.ts'
import { formatSize, GiB, TiB } from '../base/units.ts'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import type { Source } from '../bytes/source.ts'
import type { Database } from '../database/database.ts'
import { DiskViews } from '../formats/disk-views.ts'
import { type DiskMap, parseDiskMap } from '../formats/disk-map.ts'
import { adoptDisk } from '../formats/golden.ts'
import { type ImageFormat, openImage } from '../formats/open-image.ts'
import type { Disk } from '../formats/open-disk.ts'
import type { View, ViewFormat } from '../formats/view.ts'
import { VIEW_FORMATS, viewFormatOf } from '../formats/views.ts'
import type { ContentCache } from '../stores/content-cache.ts'
import type { Stores } from '../stores/store.ts'
import { OpenGoldens, type OpenGolden } from './_open-goldens.ts'
import { pruneClusters } from './_prune-clusters.ts'
import { openStoredData } from './_stored-data.ts'
import { keepViewDigest, readViewDigests } from './_view-digests.ts'
import type { Catalog } from './catalog.ts'
import type { Image } from './image.ts'
import type { ImageContent, OfferedFormat, StoredContent, ViewedContent } from './image-content.ts'
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
  /** Where digests of what is sent are computed; without them nobody does. */
  readonly digests?: DigestThreads | undefined
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
  return new OpenImageContent(parts)
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
/** Disks that are compressed at a time, each taking some 40 MiB; the others wait in line. */
const COMPRESSED_AT_ONCE = 2
const STORED_TYPE = 'application/octet-stream'

class OpenImageContent implements ImageContent, AsyncDisposable {
  readonly #parts: ContentParts
  readonly #end = new AbortController()
  readonly #context: Context
  readonly #goldens = new OpenGoldens()
  readonly #background = new Set<Promise<void>>()
  /** How disks are compressed: beside requests, which come first. */
  readonly #making

  constructor(parts: ContentParts) {
    this.#parts = parts
    const signal = AbortSignal.any([parts.context.signal, this.#end.signal])
    this.#context = { ...parts.context, signal }
    const threads = Math.max(1, availableParallelism() - 1)
    const turns = new Turns(COMPRESSED_AT_ONCE)
    this.#making = { threads, turns, yields: true, digestThreads: parts.digests }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Failure('INTERRUPTED', 'the server is ending'))
    await Promise.all(this.#background)
    await this.#goldens[Symbol.asyncDispose]()
  }

  async openStored(image: Image, prefer?: readonly string[]): Promise<StoredContent> {
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

  async openView(image: Image, name: string, prefer?: readonly string[]): Promise<ViewedContent> {
    const format = viewFormatOf(name)
    if (format.name === image.diskFormat && isDisk(image)) {
      const stored = await this.openStored(image, prefer)
      return { ...stored, mediaType: format.mediaType }
    }
    await using opened = new AsyncDisposableStack()
    const { views } = opened.use(await this.#use(image, prefer)).golden
    const view = await views.open(format)
    const using = opened.move()
    return {
      ...view,
      mediaType: format.mediaType,
      fileName: fileNameOf(image, format.endings[0] ?? format.name),
      listen: (etag) => views.listen(etag),
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
    if (!isDisk(image) || whyNoViews(image) !== undefined) return [stored]
    await using use = await this.#use(image)
    const { views } = use.golden
    await views.find()
    const offered = VIEW_FORMATS.filter(({ name }) => name !== image.diskFormat)
    return [stored, ...offered.flatMap((format) => offer(format, views))]
  }

  /** The golden of an image, open. Fails with VIEW_IMPOSSIBLE when it holds no disk that can be read. */
  async #use(image: Image, prefer?: readonly string[]) {
    demandViews(image)
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
    const source = await openStoredData(image, prefer, this.#parts)
    try {
      const format = DISKS.get(image.diskFormat ?? '') ?? 'raw'
      const { disk } = await openImage(source, { format })
      demandViews({ ...image, virtualSize: disk.size })
      const map = await this.#mapOf(image, disk, source)
      const views = new DiskViews(
        {
          disk,
          map,
          identity: digestOf(image),
          contentDigest: digestOf(image),
          directory: this.#parts.clusterDirectory,
          ...this.#making,
          digests: await readViewDigests(image.id, this.#parts),
          onDigest: (etag, digest) =>
            this.#inBackground(keepViewDigest(image.id, etag, digest, this.#parts)),
          onWork: (done) => this.#inBackground(this.#keepOpen(image, prefer, done)),
        },
        this.#context,
      )
      const close = async () => {
        await views[Symbol.asyncDispose]()
        await source[Symbol.asyncDispose]()
      }
      return { views, close }
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

  /** What is being made goes on when nobody waits for it any more. */
  async #keepOpen(
    image: Image,
    prefer: readonly string[] | undefined,
    done: Promise<unknown>,
  ): Promise<void> {
    await using _ = await this.#use(image, prefer)
    await done
    const { clusterDirectory, maxClusterSize = 20 * GiB } = this.#parts
    await pruneClusters(clusterDirectory, maxClusterSize)
  }

  /** Nobody waits for it; what goes wrong is told to the log. */
  #inBackground(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#context.log.warn('view.work_failed', { error })
      })
      .finally(() => this.#background.delete(done))
    this.#background.add(done)
  }
}

function isDisk({ diskFormat, containerFormat }: Image): boolean {
  return containerFormat === 'bare' && DISKS.has(diskFormat ?? '')
}

/** Disks that are larger have no views: a map of one takes 32 MiB of memory, however little is in it. */
const LARGEST_DISK = 16 * TiB

/** Fails with VIEW_IMPOSSIBLE. */
function demandViews(image: Image): void {
  const why = whyNoViews(image)
  if (why === undefined) return
  throw new Failure('VIEW_IMPOSSIBLE', `image ${image.id} has no other formats: it ${why}`)
}

function whyNoViews({ size, virtualSize }: Image): string | undefined {
  if (size === 0) return 'is empty'
  const isTooLarge = virtualSize !== null && virtualSize > LARGEST_DISK
  return isTooLarge ? `is a disk of more than ${formatSize(LARGEST_DISK)}` : undefined
}

/** Another for other bytes. */
function digestOf({ id, hashValue, checksum, size }: Image): string {
  return hashValue ?? checksum ?? `${id}-${size}`
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
function offer(format: ViewFormat, views: DiskViews): OfferedFormat[] {
  const { name, mediaType, summary } = format
  try {
    const view = views.known(format)
    const digest = (view && views.digestOf(view.etag)) ?? null
    return [{ name, mediaType, size: view?.length ?? null, digest, stored: false, summary }]
  } catch (error) {
    if (isFailure(error, 'VIEW_IMPOSSIBLE')) return []
    throw error
  }
}

function fileNameOf({ id, name }: Image, ending: string): string {
  return `${name ?? id}.${ending}`
}
