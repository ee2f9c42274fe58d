import { join } from 'node:path'
import type { Authenticator, Policy } from '../access/caller.ts'
import { openAuthenticator } from '../access/authenticator.ts'
import { openPolicy } from '../access/policy.ts'
import { openProtections } from '../access/open-protections.ts'
import { openQuotas } from '../access/open-quotas.ts'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { Source } from '../bytes/source.ts'
import { openKeystone } from '../clouds/keystone.ts'
import { openDatabase } from '../database/open-database.ts'
import { factoryMigrations } from '../factory/engine/factory-migrations.ts'
import { recipeRunMigrations } from '../factory/recipe-run-migrations.ts'
import type { Catalog } from '../images/catalog.ts'
import { openStaged } from '../images/staged.ts'
import { catalogMigrations } from '../images/catalog-migrations.ts'
import { openCatalog } from '../images/open-catalog.ts'
import { openImageContent } from '../images/open-image-content.ts'
import { openImages } from '../images/open-images.ts'
import type { Images } from '../images/images.ts'
import { placesOf } from '../images/status.ts'
import { clearSpool } from '../images/spool.ts'
import { type SweepParts, sweepObjects } from '../images/sweep-objects.ts'
import { openUploads, uploadKinds } from '../images/open-uploads.ts'
import { chooseSteps, ingestWishes } from '../imports/choose-steps.ts'
import { openImports } from '../imports/open-imports.ts'
import { metadefMigrations, openMetadefs } from '../metadefs/open-metadefs.ts'
import { openContentCache } from '../stores/open-content-cache.ts'
import { openStores } from '../stores/open-stores.ts'
import type { Stores } from '../stores/store.ts'
import { ledgerMigrations } from '../tasks/ledger-migrations.ts'
import { openLocalQueue } from '../tasks/local-queue.ts'
import { openLedger } from '../tasks/open-ledger.ts'
import { openPgBossQueue } from '../tasks/pg-boss-queue.ts'
import { openWorker } from '../tasks/worker.ts'
import { fenceUplinks } from '../remotes/fenced-uplink.ts'
import type { FactoryHost } from './builtin-factory.ts'
import { openImageKeys } from './open-image-keys.ts'
import { holdDataDir, makeDataDir, readNodeId } from './data-dir.ts'
import { type Chore, openHousekeeping } from './housekeeping.ts'
import { loadStandardMetadefs } from './load-metadefs.ts'
import { noFactory } from './no-factory.ts'
import { loadPlugins } from './plugins.ts'
import { prepareViews } from './prepare-views.ts'
import type { ServiceConfig } from './service-config.ts'
import { serviceParts } from './service-parts.ts'
import type { Service } from './service.ts'

export type FactoryUse = 'work' | 'watch' | 'none'

export interface ServiceOptions {
  /**
   * A server holds its data directory alone. A command beside it (or without one) opens the same catalog and
   * stores for a moment, as one more server would.
   */
  readonly role: 'server' | 'command'
  /** What builds know of this host. Left out: nothing, and what is worth keeping stands in the data directory. */
  readonly host?: FactoryHost
  /**
   * `watch`: image factory and recipe runs are there to be looked at, and their work is left to others. `none`: they are
   * not even loaded, for commands about images. Default `work`.
   */
  readonly factory?: FactoryUse
  /** In place of what the configuration says; for tests. */
  readonly policy?: Policy
  readonly openAuthenticator?: (policy: Policy) => Authenticator
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/**
 * Puts the image service together, as the configuration says, and sets it to work: what an earlier process left
 * undone is taken up at once. Closing it lets what runs end for a moment, then gives it back.
 *
 * Fails with CONFIG_INVALID, DATA_DIR_HELD, DATABASE_AWAY, DATABASE_BUSY, STORE_AWAY, STORE_DENIED,
 * FILE_UNREADABLE, FILE_NOT_FOUND, NO_SPACE.
 */
export async function openService(
  config: ServiceConfig,
  context: Context,
  options: ServiceOptions,
): Promise<Service> {
  const { role } = options
  const plugins = await loadPlugins(config.plugins)
  const parts = serviceParts(plugins)
  await using opened = new AsyncDisposableStack()
  const dataDir = config.data_dir
  const spoolDirectory = config.spool_dir ?? join(dataDir, 'spool')
  await makeDataDir(dataDir)
  await makeDataDir(spoolDirectory)
  await clearSpool(spoolDirectory)
  if (role === 'server') opened.use(await holdDataDir(dataDir))

  const { database: url } = config
  const address = url === undefined ? { sqlite: join(dataDir, 'catalog.db') } : { postgres: url }
  const migrations = [
    ...catalogMigrations,
    ...ledgerMigrations,
    ...metadefMigrations,
    ...factoryMigrations,
    ...recipeRunMigrations,
  ]
  const database = opened.use(await openDatabase(address, migrations, context))

  const protectionFile = {
    file: config.property_protections,
    by: config.property_protections_by,
  }
  const policy =
    options.policy ?? (await openPolicy({ file: config.policy_file, protections: protectionFile }))
  const authenticator = opened.use(
    options.openAuthenticator?.(policy) ?? (await openAuthenticator(config.auth, policy, context)),
  )
  const protections = await openProtections(protectionFile, policy)
  const quotas = opened.use(
    openQuotas({ quotas: config.quotas, keystone: config.auth.keystone }, context),
  )

  const stores = opened.use(
    await openStores(config.stores, parts.storeDrivers, { ...context, dataDir }),
  )
  const catalog = openCatalog(database, context)
  const metadefs = openMetadefs(database, context)
  await loadStandardMetadefs(metadefs, context)

  const ledger = opened.use(
    await openLedger(
      database,
      {
        leaseMs: config.lease_s * 1000,
        keepMs: config.import.task_keep_h * HOUR_MS,
        holder:
          role === 'server'
            ? await readNodeId(dataDir, context.newId)
            : `command-${context.newId()}`,
        sole: role === 'server',
      },
      context,
    ),
  )
  const queue = opened.use(
    url === undefined ? openLocalQueue(context) : await openPgBossQueue(url, context),
  )
  const offer = async (taskId: string) => {
    await queue.offer(taskId).catch((error: unknown) => {
      context.log.warn('queue.away', { taskId, error: String(error) }) // the sweep will find it
    })
  }
  const digests = opened.use(new DigestThreads())
  const ground = { database, catalog, ledger, stores, quotas, digests, offer, context }
  const staged = openStaged(catalog)
  const steps = chooseSteps(config.import.steps, parts.importSteps, config.import)

  const images = openImages({
    ...ground,
    maxMembers: config.image.max_members,
    delayedDeleteS: config.image.delayed_delete_s,
  })
  const openKeystoneOf = keystoneOfCallers(config, context)
  const imageKeys = openImageKeys(
    { directory: config.image.certificates_dir, openKeystone: openKeystoneOf },
    context,
  )
  const uploads = openUploads({
    ...ground,
    config: config.image,
    stageWishes: (image) => ingestWishes(steps, config.import, image),
    spoolDirectory,
    onActive: (image) => void prepare(image),
  })
  const imports = openImports({
    ...ground,
    staged,
    methods: parts.importMethods,
    steps: parts.importSteps,
    openKeystone: openKeystoneOf,
    findCertificate: imageKeys.findCertificate,
    config: { import: config.import, image: config.image, spoolDirectory },
  })
  const cache = config.cache.enabled
    ? opened.use(
        await openContentCache(
          {
            directory: join(dataDir, 'cache'),
            maxSize: config.cache.max_size,
            fetch: async (imageId) => await openForCache(catalog, stores, imageId),
          },
          context,
        ),
      )
    : undefined
  const content = opened.use(
    await openImageContent({ ...ground, cache, clusterDirectory: join(dataDir, 'clusters') }),
  )
  const prepare = prepareViews({ content, stores }, context)
  const host = options.host ?? hostless(dataDir)
  const factoryGround = { ...ground, images, uploads, content }
  const { factory, recipeRuns } =
    options.factory === 'none'
      ? noFactory()
      : await openFactoryOf(config, factoryGround, { host, plugins, role }, context)
  opened.use(factory)
  const builds = options.factory === 'watch' ? [] : [...factory.kinds, ...recipeRuns.kinds]

  opened.use(
    await openWorker(
      {
        ledger,
        queue,
        kinds: [...uploadKinds(ground), ...imports.kinds, ...builds],
        isPartial: options.factory !== undefined && options.factory !== 'work',
        concurrency: config.import.concurrency,
        sweepMs: (config.lease_s * 1000) / 2,
      },
      context,
    ),
  )
  if (role === 'server') opened.use(openHousekeeping(choresOf(config, images, ground), context))
  const closing = opened.move()
  return {
    config,
    context,
    database,
    authenticator,
    policy,
    protections,
    quotas,
    catalog,
    images,
    imageKeys,
    metadefs,
    ledger,
    stores,
    uploads,
    content,
    imports,
    factory,
    recipeRuns,
    cache,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** Most of the program is the factory's parts: loaded only where they are wanted. */
async function openFactoryOf(...given: Parameters<OpenFactory>): ReturnType<OpenFactory> {
  const { openConfiguredFactory } = await import('./open-factory-parts.ts')
  return await openConfiguredFactory(...given)
}

type OpenFactory = typeof import('./open-factory-parts.ts').openConfiguredFactory

/** A host of which nothing is known. */
function hostless(dataDir: string): FactoryHost {
  const nothing = { proxies: {}, openstack: {}, version: '0' }
  return {
    cacheDir: join(dataDir, 'build-cache'),
    uplink: fenceUplinks(async () => []),
    ...nothing,
  }
}

/** What a server does from time to time beside its tasks. */
function choresOf(
  { sweep_after_h: sweepAfterH }: ServiceConfig,
  images: Pick<Images, 'purge'>,
  parts: SweepParts,
): Chore[] {
  const olderThanMs = sweepAfterH * HOUR_MS
  const sweep = { name: 'sweep objects', everyMs: HOUR_MS }
  return [
    { name: 'purge images', everyMs: MINUTE_MS, run: async () => await images.purge() },
    ...(sweepAfterH > 0
      ? [
          {
            ...sweep,
            run: async (signal: AbortSignal) => await sweepObjects(parts, { olderThanMs, signal }),
          },
        ]
      : []),
  ]
}

/** Keystone as whoever asks for something, by the token it came with; undefined where there is none. */
function keystoneOfCallers({ auth: { keystone } }: ServiceConfig, context: Context) {
  if (keystone === undefined) return undefined
  return (token: string, projectId: string | null) =>
    openKeystone(
      {
        authUrl: keystone.auth_url,
        credentials: { method: 'token', token },
        ...(projectId !== null && { scope: { project: { id: projectId } } }),
      },
      context,
    )
}

/** The data of an image that was queued for the cache. Fails with OBJECT_NOT_FOUND. */
async function openForCache(catalog: Catalog, stores: Stores, imageId: string): Promise<Source> {
  const image = await catalog.get(imageId)
  const [location] = image === undefined ? [] : placesOf(image)
  if (location === undefined)
    throw new Failure('OBJECT_NOT_FOUND', `image ${imageId} has no data to be cached`)
  return await stores.get(location.store).open(location.key)
}
