import type { Quotas } from '../access/quotas.ts'
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import type { Database, Tx } from '../database/database.ts'
import type { Store, Stores } from '../stores/store.ts'
import type { Ledger } from '../tasks/ledger.ts'
import type { Lease, TaskKind } from '../tasks/task.ts'
import { fillImage } from './_fill-image.ts'
import { KeptBody } from './_kept-body.ts'
import { type UploadKind, undoUpload } from './_undo-upload.ts'
import type { Catalog, ImageChange, Usage } from './catalog.ts'
import type { Image } from './image.ts'
import { type Ingested, type IngestPlan, ingest } from './ingest.ts'
import { imageNotFound } from './open-images.ts'
import { removeObjectsKind } from './remove-objects.ts'
import { isRefusal, openStaged, toStagedRefusal } from './staged.ts'
import { checkMove } from './status.ts'
import type { UploadRequest, Uploads } from './upload.ts'

export interface UploadParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly stores: Stores
  readonly quotas: Pick<Quotas, 'active' | 'limits' | 'check'>
  /** Section `image` of the configuration. */
  readonly config: {
    readonly hash_algorithm: string
    readonly require_format_match: boolean
    readonly max_size: number
  }
  /** What the import steps want of the pass in which an image's data is staged. */
  readonly stageWishes: (image: Image) => Partial<Pick<IngestPlan, 'decompress' | 'convertTo'>>
  /** For what has to be put aside. It exists. */
  readonly spoolDirectory: string
  /** Threads that digest, shared by all uploads. */
  readonly digests: DigestThreads
  /** Told of images that have become active. */
  readonly onActive?: (image: Image) => void
  readonly context: Context
}

export function openUploads(parts: UploadParts): Uploads {
  return {
    upload: async (request) => {
      const { stores } = parts
      const store = request.store === undefined ? stores.default : stores.get(request.store)
      return await new Upload('upload', store, request, parts).run()
    },
    stage: async (request) => await new Upload('stage', parts.stores.default, request, parts).run(),
  }
}

/** What the worker needs to clear away after requests that died, and after images that are gone. */
export function uploadKinds(
  parts: Pick<UploadParts, 'database' | 'catalog' | 'stores' | 'context'>,
): TaskKind[] {
  const ofRequests = (['upload', 'stage'] as const).map((type) => ({
    type,
    resumes: false,
    run: async () => {
      throw new Failure('INTERRUPTED', 'the request that brought the data has ended')
    },
    undo: async (...[task, reason, lease]: Parameters<TaskKind['undo']>) =>
      await undoUpload(parts, task, reason, lease),
  }))
  return [...ofRequests, removeObjectsKind(parts)]
}

/** One request that brings data. */
class Upload {
  readonly #kind: UploadKind
  readonly #store: Store
  readonly #request: UploadRequest
  readonly #parts: UploadParts
  readonly #key: string

  constructor(kind: UploadKind, store: Store, request: UploadRequest, parts: UploadParts) {
    this.#kind = kind
    this.#store = store
    this.#request = request
    this.#parts = parts
    // Another for each attempt, so that none meets what another left.
    this.#key = `${request.imageId}.${parts.context.newId().slice(0, 8)}`
  }

  async run(): Promise<Image> {
    const { image, quota, lease: begun } = await this.#begin()
    await using lease = begun
    try {
      const taken = await this.#take(image, quota, lease)
      return await this.#finish(image, taken, lease)
    } catch (error) {
      const thrown = error instanceof Error ? error : new Error(String(error))
      await this.#undo(thrown, lease)
      throw (await this.#isGone(image.id)) ? gone(image.id, thrown) : thrown
    }
  }

  /** Checks everything that can be known before data is read, and marks the image as its. */
  async #begin(): Promise<{ image: Image; quota: number | undefined; lease: Lease }> {
    const { database, catalog, ledger, quotas, context } = this.#parts
    const { imageId, size, userId, requestId, create } = this.#request
    const { id: store, readOnly } = this.#store
    const { owner } = create ?? (await this.#demandReady())
    if (readOnly)
      throw new Failure('STORE_READ_ONLY', `store ${store} only gives data`, { details: { store } })
    const limits = quotas.active ? await quotas.limits(owner) : {}
    const { image, quota, take } = await database.write(async (tx) => {
      const ready = create ? undefined : await this.#demandReady(tx)
      const quota = await this.#checkQuota(owner, limits, tx)
      const image = ready
        ? await catalog.update(tx, imageId, { status: this.#status, locations: [] })
        : await create?.make(tx, 'saving')
      if (image === undefined) throw imageNotFound(imageId)
      const take = await ledger.begin(tx, {
        id: context.newId(),
        type: this.#kind,
        owner: image.owner,
        userId,
        requestId,
        subject: imageId,
        hidden: true,
        input: {},
        leftovers: [{ store, key: this.#key }],
        ...(size !== undefined && { total: size }),
      })
      return { image, quota, take }
    })
    return { image, quota, lease: take() }
  }

  async #demandReady(tx?: Tx): Promise<Image> {
    const image = await this.#parts.catalog.get(this.#request.imageId, tx)
    if (image === undefined) throw imageNotFound(this.#request.imageId)
    checkReady(image, this.#status)
    return image
  }

  get #status(): 'saving' | 'uploading' {
    return this.#kind === 'upload' ? 'saving' : 'uploading'
  }

  get #resource(): 'image_size_total' | 'image_stage_total' {
    return this.#kind === 'upload' ? 'image_size_total' : 'image_stage_total'
  }

  #usedOf({ size, staged }: Usage): number {
    return this.#kind === 'upload' ? size : staged
  }

  /** How many bytes are left to the project; undefined: any number. */
  async #checkQuota(
    owner: string | null,
    limits: Awaited<ReturnType<Quotas['limits']>>,
    tx: Tx,
  ): Promise<number | undefined> {
    const { catalog, quotas } = this.#parts
    if (Object.keys(limits).length === 0) return undefined
    const usage = await catalog.usage(owner, tx)
    quotas.check(limits, 'image_count_uploading', usage.uploading, 1, tx)
    const used = this.#usedOf(usage)
    quotas.check(limits, this.#resource, used / MiB, (this.#request.size ?? 0) / MiB, tx)
    const limit = limits[this.#resource]
    return limit === undefined || limit < 0 ? undefined : Math.max(0, limit * MiB - used)
  }

  /** What has come. That content is refused is an answer too while it is staged: the import tells of it. */
  async #take(image: Image, quota: number | undefined, lease: Lease): Promise<Ingested | Failure> {
    const { stream } = this.#request
    const plan = this.#planFor(image, quota)
    const context = this.#contextOf(lease)
    if (this.#kind === 'upload') return await ingest(stream, plan, context)
    using body = new KeptBody(stream)
    try {
      return await ingest(body.rest, plan, context)
    } catch (error) {
      if (!isRefusal(error)) throw error
      await body.drain(plan, context)
      return error
    }
  }

  #planFor(image: Image, quota: number | undefined): IngestPlan {
    const { config, spoolDirectory, digests, stageWishes } = this.#parts
    return {
      name: `image ${image.id}`,
      store: this.#store,
      key: this.#key,
      diskFormat: image.diskFormat ?? 'raw',
      containerFormat: image.containerFormat ?? 'bare',
      size: this.#request.size,
      signer: this.#request.signer,
      maxSize: config.max_size,
      quota,
      requireMatch: config.require_format_match,
      hashAlgorithm: config.hash_algorithm,
      spoolDirectory,
      wantsMap: true,
      digests,
      ...(this.#kind === 'stage' ? stageWishes(image) : this.#request.taking),
    }
  }

  #contextOf(lease: Lease): Context {
    return {
      ...this.#parts.context,
      signal: AbortSignal.any([this.#request.signal, lease.signal]),
      progress: (event) => {
        if (event.kind === 'bytes') lease.tell({ done: event.done })
      },
    }
  }

  /** Says so in the record, and ends the task, at once. */
  async #finish({ id, owner }: Image, taken: Ingested | Failure, lease: Lease): Promise<Image> {
    if (taken instanceof Failure) return await this.#finishRefused(id, taken, lease)
    const { database, catalog, quotas, context } = this.#parts
    const limits = quotas.active ? await quotas.limits(owner) : {}
    const location = {
      id: context.newId(),
      store: this.#store.id,
      key: this.#key,
      url: this.#store.locate(this.#key),
      metadata: {},
    }
    const image = await database.write(async (tx) => {
      const now = await catalog.get(id, tx)
      if (now === undefined || now.status === 'pending_delete') throw gone(id)
      if (limits[this.#resource] !== undefined) {
        const used = this.#usedOf(await catalog.usage(owner, tx)) // others may have been quicker
        quotas.check(limits, this.#resource, used / MiB, taken.size / MiB, tx)
      }
      const image =
        this.#kind === 'upload'
          ? await fillImage(catalog, tx, now, taken, location)
          : await this.#keepStaged(tx, id, taken)
      await lease.finish({ status: 'success', message: '' }, tx)
      return image
    })
    context.log.info(`image.${this.#kind === 'upload' ? 'activated' : 'staged'}`, {
      imageId: id,
      size: taken.size,
      store: this.#store.id,
    })
    if (this.#kind === 'upload') this.#parts.onActive?.(image)
    return image
  }

  /** Nothing stands for it, so nothing counts. */
  async #finishRefused(id: string, refusal: Failure, lease: Lease): Promise<Image> {
    const { database, catalog, context } = this.#parts
    const image = await database.write(async (tx) => {
      const now = await catalog.get(id, tx)
      if (now === undefined || now.status === 'pending_delete') throw gone(id)
      await openStaged(catalog).keep(tx, id, toStagedRefusal(refusal))
      const image = await catalog.update(tx, id, { stagedSize: 0 }, { from: ['uploading'] })
      await lease.finish({ status: 'success', message: '' }, tx)
      return image
    })
    context.log.info('stage.refused', { imageId: id, code: refusal.code })
    return image
  }

  async #keepStaged(tx: Tx, id: string, ingested: Ingested): Promise<Image> {
    const { catalog } = this.#parts
    const object = { store: this.#store.id, key: this.#key }
    if (ingested.map) await catalog.writeAttachment(tx, id, 'map', ingested.map.toBytes())
    await openStaged(catalog).keep(tx, id, { object, ingested })
    const change: ImageChange = { size: ingested.size, stagedSize: ingested.size }
    return await catalog.update(tx, id, change, { from: ['uploading'] })
  }

  /** Puts all back. What cannot be now (the store is away), the worker does later: the ledger knows of it. */
  async #undo(reason: Error, lease: Lease): Promise<void> {
    const { log } = this.#parts.context
    const { imageId } = this.#request
    log.warn(`${this.#kind}.failed`, { imageId, error: reason.message })
    try {
      await using failing = await lease.giveUp(reason)
      await undoUpload(this.#parts, failing.task, reason, failing)
    } catch (error) {
      // Somebody else has it, or it has ended and all stands.
      if (!isFailure(error, 'LEASE_LOST')) log.warn(`${this.#kind}.not-undone`, { imageId, error })
    }
  }

  async #isGone(id: string): Promise<boolean> {
    const look = this.#parts.catalog.get(id)
    return await look.then(
      (image) => image === undefined,
      () => false, // nobody knows; what went wrong is told as it is
    )
  }
}

/** Fails with IMAGE_STATE, REQUEST_INVALID unless the image waits for data, and says of what format. */
function checkReady(image: Image, wanted: 'saving' | 'uploading'): void {
  checkMove(image, wanted)
  const { id, diskFormat, containerFormat } = image
  if (diskFormat !== null && containerFormat !== null) return
  const missing = diskFormat === null ? 'disk_format' : 'container_format'
  throw new Failure('REQUEST_INVALID', `image ${id} has no ${missing}, which its data needs`, {
    details: { id, missing },
  })
}

function gone(id: string, cause?: unknown): Failure {
  return new Failure('IMAGE_GONE', `image ${id} was deleted while its data was taken in`, {
    details: { id },
    cause,
  })
}
