/** Servers that import, on one catalog and the same stores; stores fail and servers die when they are told to. */
import type { Caller } from '../access/caller.ts'
import { openQuotas } from '../access/open-quotas.ts'
import { makeContext } from '../base/context.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/open-database.ts'
import { catalogMigrations } from '../images/catalog-migrations.ts'
import type { Catalog } from '../images/catalog.ts'
import type { Image } from '../images/image.ts'
import type { UploadRequest } from '../images/upload.ts'
import { openCatalog } from '../images/open-catalog.ts'
import { openImages } from '../images/open-images.ts'
import { openUploads, uploadKinds } from '../images/open-uploads.ts'
import { openStaged } from '../images/staged.ts'
import { type ImportConfig, type ImportParts, openImports } from '../imports/open-imports.ts'
import { ingestWishes, chooseSteps } from '../imports/choose-steps.ts'
import { copyImage } from '../imports/methods/copy-image.ts'
import { glanceDirect } from '../imports/methods/glance-direct.ts'
import { glanceDownload } from '../imports/methods/glance-download.ts'
import { webDownload } from '../imports/methods/web-download.ts'
import type { ImportRequest } from '../imports/imports.ts'
import type { ImportStep } from '../imports/step.ts'
import { convert } from '../imports/steps/convert.ts'
import { decompress } from '../imports/steps/decompress.ts'
import { injectMetadata } from '../imports/steps/inject-metadata.ts'
import { inspect } from '../imports/steps/inspect.ts'
import { introspect } from '../imports/steps/introspect.ts'
import { httpDriver } from '../stores/drivers/http.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { openStores } from '../stores/open-stores.ts'
import type { Store, Stores } from '../stores/store.ts'
import { ledgerMigrations } from '../tasks/ledger-migrations.ts'
import type { Queue } from '../tasks/queue.ts'
import type { Task } from '../tasks/task.ts'
import { openWorker } from '../tasks/worker.ts'
import { LEASE_MS, LedgerBench, type LedgerNode } from './ledger-bench.ts'
import { sampleImage } from './sample-image.ts'

export const MEMBER: Caller = {
  userId: 'u1',
  projectId: 'p1',
  roles: ['member', 'reader'],
  serviceRoles: [],
  isAdmin: false,
  requestId: 'req-1',
}

export const STEPS: readonly ImportStep[] = [
  decompress,
  inspect,
  convert,
  injectMetadata,
  introspect,
]
const METHODS = [glanceDirect, webDownload, copyImage, glanceDownload] as const

export interface BenchOptions {
  readonly import?: Partial<ImportConfig['import']>
  readonly image?: Partial<ImportConfig['image']>
  readonly quotas?: Readonly<Record<string, number>>
  readonly parts?: Partial<ImportParts>
  /** Bytes that fit in each of the stores `a`, `b`, `c`. */
  readonly room?: Readonly<Record<string, number>>
}

/** What a store does before it does what it is asked. */
export type StoreHook = (what: 'create' | 'write' | 'open' | 'remove') => Promise<void>

/** Hands out work when it is told to, in the order of the offers. */
class HandQueue implements Queue {
  readonly #offered: string[] = []
  #handle: (taskId: string) => Promise<void> = async () => {}

  async offer(taskId: string): Promise<void> {
    if (!this.#offered.includes(taskId)) this.#offered.push(taskId)
  }

  async work(_most: number, handle: (taskId: string) => Promise<void>): Promise<void> {
    this.#handle = handle
  }

  async drain(): Promise<void> {
    for (let id = this.#offered.shift(); id !== undefined; id = this.#offered.shift())
      await this.#handle(id)
  }

  async rest(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

export class ImportBench implements AsyncDisposable {
  readonly #opened: AsyncDisposableStack
  readonly #ledgers: LedgerBench
  readonly #hooks: Map<string, StoreHook>
  readonly stores: Stores
  readonly catalog: Catalog
  readonly #options: BenchOptions
  readonly #digests: DigestThreads
  readonly #spool: string

  private constructor(
    opened: AsyncDisposableStack,
    database: Database,
    stores: Stores,
    hooks: Map<string, StoreHook>,
    options: BenchOptions,
    spool: string,
  ) {
    this.#opened = opened
    this.#ledgers = new LedgerBench(database)
    this.stores = stores
    this.#hooks = hooks
    this.catalog = openCatalog(database, this.#ledgers)
    this.#options = options
    this.#digests = opened.use(new DigestThreads())
    this.#spool = spool
  }

  /** `path` names a database that is made; put aside is what lies in `spool`. */
  static async open(path: string, spool: string, options: BenchOptions = {}): Promise<ImportBench> {
    await using opened = new AsyncDisposableStack()
    const context = makeContext()
    const migrations = [...catalogMigrations, ...ledgerMigrations]
    const database = opened.use(await openDatabase({ sqlite: path }, migrations, context))
    const memory = (id: string, weight: number) => {
      const max_size = options.room?.[id]
      return {
        id,
        type: 'memory',
        weight,
        ...(max_size !== undefined && { options: { max_size } }),
      }
    }
    const web = { id: 'web', type: 'http', options: { allowed_hosts: ['127.0.0.1'] } }
    const list = [memory('a', 30), memory('b', 20), memory('c', 10), web]
    const config = { default: 'a', list }
    const stores = opened.use(
      await openStores(config, [memoryDriver, httpDriver], { ...context, dataDir: spool }),
    )
    const hooks = new Map<string, StoreHook>()
    return new ImportBench(opened.move(), database, hooked(stores, hooks), hooks, options, spool)
  }

  /** What store `id` does from now on before it does what it is asked; undefined: nothing. */
  hook(id: string, hook: StoreHook | undefined): void {
    if (hook === undefined) this.#hooks.delete(id)
    else this.#hooks.set(id, hook)
  }

  /** A server that works when it is told to. */
  async server(name = 'one') {
    const node = await this.#ledgers.node(name)
    const { now, newId } = this.#ledgers
    const context = makeContext({ now, newId })
    const queue = new HandQueue()
    const { ledger, database } = node
    const catalog = openCatalog(database, context)
    const config = configOf(this.#options, this.#spool)
    const quotas = openQuotas(
      { quotas: { default: this.#options.quotas ?? {}, projects: {} } },
      context,
    )
    const offer = async (id: string) => await queue.offer(id)
    const grounds = { database, catalog, ledger, quotas, offer, context, stores: this.stores }
    const parts: ImportParts = {
      ...grounds,
      staged: openStaged(catalog),
      digests: this.#digests,
      config,
      methods: METHODS,
      steps: STEPS,
      download: { pauseMs: 1 },
      findCertificate: async () => undefined,
      ...this.#options.parts,
    }
    const imports = openImports(parts)
    const images = openImages({ ...grounds, maxMembers: 10, delayedDeleteS: 0 })
    const steps = chooseSteps(config.import.steps, STEPS, config.import)
    const uploadParts = {
      ...grounds,
      config: config.image,
      stageWishes: (image: Image) => ingestWishes(steps, config.import, image),
      spoolDirectory: this.#spool,
      digests: this.#digests,
    }
    const uploads = openUploads(uploadParts)
    const kinds = [...imports.kinds, ...uploadKinds(uploadParts)]
    const worker = await openWorker(
      { ledger, queue, kinds, concurrency: 4, timers: node.timers, sweepMs: LEASE_MS / 2 },
      context,
    )
    return { node, catalog, ledger, images, imports, uploads, worker, drain: () => queue.drain() }
  }

  /** Kill -9, and so much time that everybody knows. */
  async kill(node: LedgerNode): Promise<void> {
    node.kill()
    await this.pass()
  }

  async pass(ms = 2 * LEASE_MS): Promise<void> {
    await this.#ledgers.pass(ms)
  }

  /** A record. */
  async image(parts: Partial<Image> = {}): Promise<Image> {
    const { revision: _, locations: __, ...image } = sampleImage(parts)
    const { database } = this.#ledgers
    return await database.write(async (tx) => await this.catalog.insert(tx, image))
  }

  /** An active image with this content in store `a`. */
  async active(content: Uint8Array, parts: Partial<Image> = {}): Promise<Image> {
    const image = await this.image(parts)
    const one = await this.server(`upload-${image.id}`)
    const uploaded = await one.uploads.upload(uploadOf(image.id, content))
    one.node.kill()
    return uploaded
  }

  /** Names of everything that stands in a store. */
  async keys(id: string): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of this.stores.get(id).list?.() ?? []) keys.push(key)
    return keys.toSorted()
  }

  /** What stands at one of the places of an image. */
  async content(image: Image, store: string): Promise<Buffer> {
    const key = image.locations.find((one) => one.store === store)?.key ?? 'none'
    await using data = await this.stores.get(store).open(key)
    return Buffer.from(await data.read(0, data.size))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#ledgers.nodes) node.timers.stop()
    await this.#opened.disposeAsync()
  }
}

export type ImportServer = Awaited<ReturnType<ImportBench['server']>>

export function uploadOf(imageId: string, content: Uint8Array): UploadRequest {
  return {
    imageId,
    stream: (async function* () {
      yield content
    })(),
    size: content.length,
    userId: 'u1',
    requestId: 'req-1',
    signal: new AbortController().signal,
  }
}

/** A request to import, by a member, into store `a`, unless `parts` say otherwise. */
export function importOf(parts: Partial<ImportRequest> = {}): ImportRequest {
  return {
    method: 'web-download',
    parameters: {},
    stores: ['a'],
    allStores: false,
    allMustSucceed: true,
    caller: MEMBER,
    ...parts,
  }
}

/** How a task ended. */
export async function outcomeOf({ ledger }: ImportServer, task: Task | undefined): Promise<Task> {
  const found = task && (await ledger.get(task.id))
  if (found === undefined) throw new Error('there is no such task')
  return found
}

function configOf(options: BenchOptions, spoolDirectory: string): ImportConfig {
  return {
    import: {
      methods: METHODS.map(({ name }) => name),
      steps: ['decompress', 'convert', 'inject-metadata'],
      golden_format: 'raw',
      inject: {},
      inject_ignore_roles: ['admin'],
      parallel_stores: 2,
      web: {
        allowed_schemes: ['http', 'https'],
        denied_schemes: [],
        allowed_hosts: ['127.0.0.1'],
        denied_hosts: [],
        allowed_ports: [],
        denied_ports: [],
        retries: 2,
      },
      glance_download_properties: ['hw_', 'os_distro'],
      ...options.import,
    },
    image: {
      disk_formats: ['raw', 'qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi', 'iso'],
      container_formats: ['bare', 'ovf', 'compressed'],
      hash_algorithm: 'sha512',
      require_format_match: true,
      max_size: 2 ** 30,
      max_locations: 10,
      secure_hash: true,
      ...options.image,
    },
    spoolDirectory,
  }
}

function hooked(stores: Stores, hooks: ReadonlyMap<string, StoreHook>): Stores {
  const all = stores.all.map((store): Store => {
    const before = async (what: Parameters<StoreHook>[0]) => await hooks.get(store.id)?.(what)
    return {
      ...store,
      create: async (key, size) => {
        await before('create')
        const writer = await store.create(key, size)
        return {
          write: async (offset, bytes) => {
            await before('write')
            await writer.write(offset, bytes)
          },
          zeros: async (offset, length) => await writer.zeros(offset, length),
          finish: async (size) => await writer.finish(size),
          discard: async () => await writer.discard(),
          [Symbol.asyncDispose]: async () => await writer[Symbol.asyncDispose](),
        }
      },
      open: async (key) => {
        await before('open')
        return await store.open(key)
      },
      remove: async (key) => {
        await before('remove')
        await store.remove(key)
      },
    }
  })
  const get = (id: string) => all.find((store) => store.id === id) ?? stores.get(id)
  return {
    all,
    get,
    default: get(stores.default.id),
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  }
}
