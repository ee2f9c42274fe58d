/**
 * The image factory as tests want it: every part a real one, in a directory of its own, that can be closed and opened
 * again as a server is, or left as one that was killed.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openQuotas } from '../access/open-quotas.ts'
import { storeDrivers } from '../app/builtin-service.ts'
import { serviceDefaults } from '../app/service-config.ts'
import { type Context, makeContext } from '../base/context.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { WebRules } from '../bytes/web-request.ts'
import type { Database } from '../database/database.ts'
import { type DatabaseAddress, openDatabase } from '../database/open-database.ts'
import { openBodies } from '../factory/body/open-bodies.ts'
import { mockBuilder } from '../factory/builders/mock.ts'
import type { CloudTarget } from '../factory/cloud-target.ts'
import { factoryMigrations } from '../factory/engine/factory-migrations.ts'
import { type FactorySettings, openFactory } from '../factory/engine/open-factory.ts'
import { type FactoryImage, isFinal, type JsonObject } from '../factory/factory-image.ts'
import type { Factory, GivenTemplate } from '../factory/factory.ts'
import type { OsBuilder } from '../factory/os-builder.ts'
import { parseTemplate } from '../factory/parse-template.ts'
import { OWNERS_REACH, type Reach } from '../factory/reach.ts'
import type { Bodies } from '../factory/engine/factory-parts.ts'
import type { TargetContent } from '../factory/tdl/target-content.ts'
import type { Template } from '../factory/template.ts'
import { mockTarget } from '../factory/targets/mock.ts'
import { catalogMigrations } from '../images/catalog-migrations.ts'
import type { Catalog } from '../images/catalog.ts'
import { openCatalog } from '../images/open-catalog.ts'
import { openImageContent } from '../images/open-image-content.ts'
import { openImages } from '../images/open-images.ts'
import { openUploads, uploadKinds } from '../images/open-uploads.ts'
import { openStores } from '../stores/open-stores.ts'
import { ledgerMigrations } from '../tasks/ledger-migrations.ts'
import type { Ledger } from '../tasks/ledger.ts'
import { openLocalQueue } from '../tasks/local-queue.ts'
import { openLedger } from '../tasks/open-ledger.ts'
import { openWorker } from '../tasks/worker.ts'

export interface TestFactoryOptions {
  /** Where all is, but for the database if that is elsewhere. */
  readonly directory: string
  readonly database?: DatabaseAddress
  readonly builders?: readonly OsBuilder[]
  readonly targets?: readonly CloudTarget[]
  readonly settings?: Partial<FactorySettings>
  readonly callbackRules?: WebRules
  readonly context?: Partial<Context>
  /** Default true. Without one nothing that is ordered is done. */
  readonly works?: boolean
  /** Default: an owner's. */
  readonly reach?: Reach
  readonly ordersByOwner?: boolean
  readonly targetContent?: TargetContent
  /** In place of those of the image service. */
  readonly bodies?: Bodies
  /** Of leases: after it, what a killed server held is begun anew. */
  readonly leaseMs?: number
}

export interface TestFactory extends AsyncDisposable {
  readonly factory: Factory
  readonly database: Database
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly workDirectory: string
  readonly cacheDirectory: string
  /** The image when it has come to its end. */
  ended(image: FactoryImage): Promise<FactoryImage>
}

const SECRET_KEY = Buffer.alloc(32, 7)
const { image: IMAGE } = serviceDefaults('')

/** Anybody may be asked. */
export const anyAddress: WebRules = { checkUrl: () => {}, checkAddress: () => {} }

export async function openTestFactory(options: TestFactoryOptions): Promise<TestFactory> {
  const { directory, leaseMs = 30_000, works = true } = options
  const context = makeContext(options.context)
  await using opened = new AsyncDisposableStack()
  const inside = async (name: string) => {
    const path = join(directory, name)
    await mkdir(path, { recursive: true })
    return path
  }
  const spoolDirectory = await inside('spool')
  const workDirectory = await inside('work')
  const cacheDirectory = await inside('cache')
  const database = opened.use(
    await openDatabase(
      options.database ?? { sqlite: join(directory, 'factory.db') },
      [...catalogMigrations, ...ledgerMigrations, ...factoryMigrations],
      context,
    ),
  )
  const store = { id: 'main', type: 'file', options: { data_dir: await inside('store') } }
  const stores = opened.use(
    await openStores({ default: 'main', list: [store] }, storeDrivers, {
      ...context,
      dataDir: directory,
    }),
  )
  const quotas = opened.use(openQuotas({ quotas: { default: {}, projects: {} } }, context))
  const catalog = openCatalog(database, context)
  const ledger = opened.use(
    await openLedger(database, { leaseMs, keepMs: 3_600_000, holder: 'test', sole: true }, context),
  )
  const queue = opened.use(openLocalQueue(context))
  const digests = opened.use(new DigestThreads())
  const offer = async (taskId: string) => await queue.offer(taskId)
  const ground = { database, catalog, ledger, stores, quotas, digests, offer, context }
  const images = openImages({ ...ground, maxMembers: -1, delayedDeleteS: 0 })
  const uploads = openUploads({
    ...ground,
    config: IMAGE,
    stageWishes: () => ({}),
    spoolDirectory,
  })
  const content = opened.use(
    await openImageContent({
      ...ground,
      cache: undefined,
      clusterDirectory: await inside('clusters'),
    }),
  )
  const factory = opened.use(
    await openFactory({
      ...ground,
      builders: options.builders ?? [mockBuilder],
      targets: options.targets ?? [mockTarget],
      parseTemplate: parse,
      ...(options.targetContent && { targetContent: options.targetContent }),
      bodies:
        options.bodies ??
        openBodies({
          ...ground,
          images,
          uploads,
          content,
          parseTemplate: parse,
          workDirectory,
          cacheDirectory,
          version: 'test',
        }),
      toRecord: (image, icicle) => ({ id: image.id, status: image.status, icicle }),
      settings: {
        concurrency: {},
        jobTimeoutMs: 60_000,
        maxUnderWay: -1,
        maxLogSize: 1024 * 1024,
        providers: {},
        ...options.settings,
      },
      workDirectory,
      cacheDirectory,
      secretKey: SECRET_KEY,
      reach: options.reach ?? OWNERS_REACH,
      ordersByOwner: options.ordersByOwner ?? false,
      callbackRules: options.callbackRules ?? anyAddress,
    }),
  )
  if (works)
    opened.use(
      await openWorker(
        {
          ledger,
          queue,
          kinds: [...uploadKinds(ground), ...factory.kinds],
          concurrency: 4,
          sweepMs: leaseMs / 2,
          drainMs: 0,
        },
        context,
      ),
    )
  const closing = opened.move()
  return {
    factory,
    database,
    catalog,
    ledger,
    workDirectory,
    cacheDirectory,
    ended: async (image) => await endOf(factory, image.id),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

async function parse(given: GivenTemplate): Promise<Template> {
  return await parseTemplate(given, { validators: new Map(), requireRootPassword: false })
}

/** The image when it has come to its end. */
export async function endOf(factory: Factory, id: string): Promise<FactoryImage> {
  const patience = AbortSignal.timeout(60_000)
  let last: FactoryImage | undefined
  for await (const event of factory.follow(id, patience))
    if (event.kind === 'image') last = event.image
  if (last === undefined || !isFinal(last.status))
    throw new Error(`image ${id} is ${last?.status} still: ${last?.activity}`)
  return last
}

/** Who asks for builds in tests. */
export const REQUESTER = { owner: 'p-alice', userId: 'alice', requestId: 'req-1' }

/** A template that the mock builder takes. */
export function mockTemplate(name = 'mock', os = 'MockOS_A'): { readonly text: string } {
  return {
    text: `<template><name>${name}</name><os><name>${os}</name><version>1</version><arch>x86_64</arch>
      <install type="url"><url>http://mock.example/os</url></install><rootpw>mock-secret</rootpw></os>
      <description>a mock</description></template>`,
  }
}

/** An order of a base image, by a template of the mock builder. */
export function baseOrder(parameters: JsonObject = {}, name?: string) {
  return {
    requester: REQUESTER,
    template: mockTemplate(name),
    parameters,
    unknownParameters: 'refuse' as const,
  }
}
