/**
 * An import at work. Data that arrives is taken in once, straight into the first store; the others are given copies
 * of what stands there. Every object is noted in the ledger before it is made, and what the record says of it is
 * written in one transaction with the end of the task: so that whenever this stops, nothing is half done.
 */
import type { Limits } from '../access/quotas.ts'
import type { Context } from '../base/context.ts'
import { Failure, type FailureCode, isFailure, messageOf } from '../base/failure.ts'
import type { Tx } from '../database/database.ts'
import type { Image } from '../images/image.ts'
import { ingest, type Ingested } from '../images/ingest.ts'
import type { Lease } from '../tasks/task.ts'
import { ingestWishes } from './choose-steps.ts'
import { type Described, describeData } from './_describe.ts'
import { formatsOf } from './_formats-of.ts'
import type { ImportParts } from './_ground.ts'
import { type ImportJob, jobOf, objectsOf } from './_import-job.ts'
import { dropStaged } from './_drop-staged.ts'
import { bytesLeft, demandRoom } from './_import-room.ts'
import { inParallel } from './_in-parallel.ts'
import { failedStores, locked, unlocked } from './_lock.ts'
import { Moved } from './_moved.ts'
import type { ImportMethod, MethodScene, StoredObject } from './method.ts'
import { copyImage } from './methods/copy-image.ts'
import { readObject } from './_read-object.ts'
import { readSecret, SECRET } from './_secret.ts'
import { forgetSigner, readSigner } from './_signer.ts'
import type { ImportStep } from './step.ts'

/** What imports are made of, chosen by the configuration. */
export interface ImportGround extends ImportParts {
  readonly offered: ReadonlyMap<string, ImportMethod>
  readonly chosen: readonly ImportStep[]
  readonly scene: MethodScene
}

/** A store that cannot do its part; another one may. */
const OF_STORES: ReadonlySet<FailureCode> = new Set([
  'STORE_FULL',
  'STORE_AWAY',
  'STORE_DENIED',
  'STORE_READ_ONLY',
  'STORE_UNKNOWN',
  'NO_SPACE',
])

/** Data that stands in a store of ours. */
interface Standing {
  readonly object: StoredObject
  readonly size: number
  readonly hash: { readonly algorithm: string; readonly value: string } | undefined
}

/** Does an import, from its start; what an attempt that died has left is removed first. */
export async function runImport(ground: ImportGround, lease: Lease): Promise<void> {
  await new ImportRun(ground, lease).run()
}

class ImportRun {
  readonly #ground: ImportGround
  readonly #lease: Lease
  readonly #job: ImportJob
  readonly #noted: StoredObject[] = []
  /** What stands, and is not in the record yet. */
  readonly #placed: StoredObject[] = []
  readonly #failed = new Map<string, unknown>()
  readonly #moved: Moved
  #left: readonly string[] = []
  #limits: Limits = {}
  /** Of data that was taken in; what is copied is described already. */
  #described: Described | undefined

  constructor(ground: ImportGround, lease: Lease) {
    this.#ground = ground
    this.#lease = lease
    this.#job = jobOf(lease.task)
    this.#moved = new Moved(lease)
  }

  async run(): Promise<void> {
    await this.#clearAway()
    const image = await this.#image()
    const { quotas } = this.#ground
    if (quotas.active) this.#limits = await quotas.limits(image.owner)
    const standing = new Set(image.locations.map(({ store }) => store))
    for (const store of failedStores(image.properties)) this.#failed.set(store, undefined)
    this.#left = this.#job.stores.filter((one) => !standing.has(one) && !this.#failed.has(one))
    const data = await this.#begin(image)
    const { parallel_stores: most } = this.#ground.config.import
    await inParallel(this.#left, most, async (store, signal) => {
      await this.#orFail(store, async () => await this.#copy(data, store, signal))
    })
    await this.#finish()
  }

  /** What an attempt that died made, but for what the record names. */
  async #clearAway(): Promise<void> {
    const { catalog, stores } = this.#ground
    for (const { store: id, key } of objectsOf(this.#lease.task.leftovers)) {
      const store = stores.all.find((one) => one.id === id)
      if (store !== undefined && !(await catalog.isLocated(id, key))) await store.remove(key)
    }
  }

  async #image(tx?: Tx): Promise<Image> {
    const { imageId: id } = this.#job
    const image = await this.#ground.catalog.get(id, tx)
    if (image !== undefined && image.status !== 'pending_delete') return image
    throw new Failure('IMAGE_GONE', `image ${id} was deleted meanwhile`, { details: { id } })
  }

  /** The first place where the data stands. An image that is active has it, whatever brought it there. */
  async #begin(image: Image): Promise<Standing> {
    const { offered, scene, catalog } = this.#ground
    const { method: name, parameters } = this.#job
    const isThere = image.status !== 'importing'
    const method = isThere ? copyImage : offered.get(name)
    if (method === undefined)
      throw new Failure('REQUEST_INVALID', `import method '${name}' is no longer offered`)
    const work = {
      parameters,
      image,
      projectId: this.#lease.task.owner,
      secret: await readSecret(catalog, image.id),
    }
    // Arriving data begins anew for the next store, if one may fail.
    for (;;) {
      await using data = await method.open(work, scene, this.#context())
      if (data.kind === 'standing') {
        const { object, ingested } = data
        if (ingested) await this.#describe(image, ingested, object, {})
        if (data.staged && this.#left.includes(object.store)) await this.#place(object)
        return this.#standing(object, ingested ?? image)
      }
      const [store] = this.#left
      if (store === undefined) throw this.#noneLeft()
      const signer = await readSigner(catalog, image.id)
      const formats = formatsOf(image, data, this.#ground.config.image)
      const found = await this.#orFail(store, async () => {
        const object = await this.#newObject(store)
        const ingested = await ingest(
          data.stream,
          {
            ...this.#planFor(image, object),
            ...formats,
            size: data.size,
            expected: data.expected,
            signer,
            requireMatch: this.#ground.config.image.require_format_match,
            quota: await bytesLeft(this.#ground, this.#limits, image),
            ...ingestWishes(this.#ground.chosen, this.#ground.config.import, formats),
            wantsMap: true,
          },
          this.#context(store, data.size),
        )
        await this.#describe(image, ingested, object, data.properties ?? {})
        await this.#place(object)
        return this.#standing(object, ingested)
      })
      if (found !== undefined) return found
    }
  }

  #standing(object: StoredObject, { size, hashAlgorithm, hashValue }: Ingested | Image): Standing {
    const isHashed = hashAlgorithm !== null && hashValue !== null
    const hash = isHashed ? { algorithm: hashAlgorithm, value: hashValue } : undefined
    return { object, size: size ?? 0, hash }
  }

  async #describe(
    image: Image,
    ingested: Ingested,
    object: StoredObject,
    given: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { stores, chosen: steps, config } = this.#ground
    await using data = await stores.get(object.store).open(object.key)
    const options = config.import
    const { roles } = this.#job
    this.#described = await describeData(
      { image, ingested, given, data },
      { steps, options, roles },
      this.#context(),
    )
  }

  /** The same bytes in another store, held to what they hash to. */
  async #copy({ object, size, hash }: Standing, store: string, signal: AbortSignal): Promise<void> {
    const { stores } = this.#ground
    await using source = await stores.get(object.store).open(object.key)
    const copy = await this.#newObject(store)
    const plan = {
      ...this.#planFor(await this.#image(), copy),
      diskFormat: 'raw',
      containerFormat: 'bare',
      size,
      expected: hash,
      requireMatch: false,
      wantsMap: false,
    }
    await ingest(readObject(source), plan, this.#context(store, size, signal))
    await this.#place(copy)
  }

  #planFor({ id }: Image, { store, key }: StoredObject) {
    const { stores, config, digests } = this.#ground
    return {
      name: `image ${id}`,
      store: stores.get(store),
      key,
      maxSize: config.image.max_size,
      hashAlgorithm: config.image.hash_algorithm,
      spoolDirectory: config.spoolDirectory,
      ...(digests && { digests }),
    }
  }

  async #newObject(store: string): Promise<StoredObject> {
    const object = { store, key: `${this.#job.imageId}.${this.#ground.context.newId()}` }
    await this.#note(object)
    return object
  }

  async #note(object: StoredObject): Promise<void> {
    this.#noted.push(object)
    await this.#lease.note([...this.#noted])
  }

  /** A store that fails is left out, if all need not succeed. */
  async #orFail<T>(store: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      const isOfStore = isFailure(error) && OF_STORES.has(error.code)
      if (this.#job.allMustSucceed || !isOfStore) throw error
      this.#failed.set(store, error)
      this.#left = this.#left.filter((one) => one !== store)
      this.#ground.context.log.warn('import.store-failed', {
        imageId: this.#job.imageId,
        store,
        error: messageOf(error),
      })
      await this.#write(async (tx) => await this.#commit(tx))
      return undefined
    }
  }

  /** An object is whole. It counts at once if others may still fail; else with the end. */
  async #place(object: StoredObject): Promise<void> {
    this.#placed.push(object)
    this.#left = this.#left.filter((one) => one !== object.store)
    if (!this.#job.allMustSucceed && this.#left.length > 0)
      await this.#write(async (tx) => await this.#commit(tx))
  }

  /** For changes before the end. */
  async #write(work: (tx: Tx) => Promise<unknown>): Promise<void> {
    await this.#ground.database.write(async (tx) => {
      await this.#lease.guard(tx)
      await work(tx)
    })
  }

  /** What stands becomes part of the record; an image that was importing is active from then on. */
  async #commit(tx: Tx): Promise<Image> {
    const { catalog, stores, context } = this.#ground
    const image = await this.#image(tx)
    const isNamed = (one: StoredObject) =>
      image.locations.some(({ store, key }) => store === one.store && key === one.key)
    const added = this.#placed.filter((one) => !isNamed(one))
    const state = { importing: this.#left, failed: [...this.#failed.keys()] }
    const isFirst = image.status === 'importing' && added.length > 0
    const described = isFirst ? this.#described : undefined
    const properties = { ...image.properties, ...described?.change.properties }
    const room = { copies: added.length, size: this.#described?.change.size ?? image.size ?? 0 }
    await demandRoom(this.#ground, tx, this.#limits, image, room)
    await catalog.update(tx, image.id, {
      ...described?.change,
      ...(isFirst && { status: 'active', stagedSize: 0 }),
      properties: locked(properties, this.#lease.task.id, state),
    })
    for (const [kind, bytes] of Object.entries(described?.attachments ?? {}))
      await catalog.writeAttachment(tx, image.id, kind, bytes)
    for (const { store, key } of added)
      await catalog.addLocation(tx, image.id, {
        id: context.newId(),
        store,
        key,
        url: stores.get(store).locate(key),
        metadata: {},
      })
    await this.#lease.note(
      this.#noted.filter((one) => !this.#placed.includes(one)),
      tx,
    )
    return await this.#image(tx)
  }

  /** Record and task end together. */
  async #finish(): Promise<void> {
    const { database, catalog, context } = this.#ground
    if (this.#placed.length === 0 && this.#job.stores.length === this.#failed.size)
      throw this.#noneLeft()
    if (this.#lease.signal.aborted) throw this.#lease.signal.reason
    const { id: taskId } = this.#lease.task
    const removing = await database.write(async (tx) => {
      const { id, properties } = await this.#commit(tx)
      await catalog.update(tx, id, { properties: unlocked(properties, [...this.#failed.keys()]) })
      await catalog.removeAttachment(tx, id, SECRET)
      await forgetSigner(catalog, tx, id)
      const unwanted = await dropStaged(this.#ground, tx, id, this.#noted)
      const message = [this.#moved.message, ...(this.#described?.messages ?? [])].join('. ')
      const result = { image_id: id }
      await this.#lease.finish({ status: 'success', message, result }, tx)
      return unwanted
    })
    if (removing !== undefined) await this.#ground.offer(removing)
    const { imageId, method } = this.#job
    context.log.info('import.finished', { imageId, method, taskId, bytes: this.#moved.bytes })
  }

  #noneLeft(): Error {
    const [first] = [...this.#failed.values()].filter((one) => one !== undefined)
    if (first instanceof Error) return first
    return new Failure('STORE_AWAY', 'none of the stores took the data')
  }

  /** For the work on one store, which tells how far it is. */
  #context(store?: string, size?: number, stop?: AbortSignal): Context {
    const { context } = this.#ground
    const signals = [this.#lease.signal, context.signal, ...(stop ? [stop] : [])]
    const total = size === undefined ? undefined : size * this.#job.stores.length
    const progress: Context['progress'] = (event) => {
      if (event.kind === 'bytes' && store !== undefined) this.#moved.tell(store, event.done, total)
    }
    return { ...context, signal: AbortSignal.any(signals), progress }
  }
}
