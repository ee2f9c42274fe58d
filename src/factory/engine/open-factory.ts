/** Puts the image factory together, of the parts that it is handed. */
import { join } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { removeLeftovers, workingPath } from '../../base/leftovers.ts'
import { openArtifact } from './_open-artifact.ts'
import { Callbacks } from './_callbacks.ts'
import { cancelImage } from './_cancel-image.ts'
import { deleteImage } from './_delete-image.ts'
import { toImage } from './_factory-tables.ts'
import { listDiscovered, reapDiscovered } from './_discovered.ts'
import { followImage } from './_follow.ts'
import type { Ground } from './_ground.ts'
import { importBase } from './_import-base.ts'
import { factoryKinds } from './_kinds.ts'
import { listLeftovers, reapLeftovers } from './_leftovers.ts'
import { readLog } from './_log-table.ts'
import { News } from './_news.ts'
import { orderBase, orderProvider, orderTarget } from './_orders.ts'
import { PartList } from './_part-list.ts'
import { readDocument } from './_read-document.ts'
import { Records } from './_records.ts'
import { rememberTemplates } from './_remember-templates.ts'
import { retryImage } from './_retry-image.ts'
import { SecretTable } from './_secrets.ts'
import type { FactoryParts } from './factory-parts.ts'
import type { TargetContent } from '../tdl/target-content.ts'
import type { Factory, Leftover } from '../factory.ts'

export type { ConfiguredProvider, FactoryParts, FactorySettings } from './factory-parts.ts'

/**
 * The factory. Its `kinds` are for the worker, which does what was ordered. What a process that died left in
 * `workDirectory` is removed. Fails with CONFIG_INVALID (a setting names a part that there is not).
 */
export async function openFactory(parts: FactoryParts): Promise<Factory> {
  const ground = makeGround(parts)
  checkSettings(ground)
  await ground.clearWorkDirs()
  const { database, records, callbacks, list } = ground
  const kinds = factoryKinds(ground)
  return {
    orderBase: async (order) => toImage(await orderBase(ground, order)),
    orderTarget: async (order) => toImage(await orderTarget(ground, order)),
    orderProvider: async (order) => toImage(await orderProvider(ground, order)),
    importBase: async (order) => await importBase(ground, order),
    get: async (id) => toImage(await records.demand(id)),
    list: async (query) => await records.list({ ...query, target: list.nameOf(query.target) }),
    readDocument: async (id, kind) => await readDocument(records, id, kind),
    readLog: async (id, after, limit) => {
      await records.demand(id)
      return await readLog(database, id, after, limit)
    },
    follow: (id, signal, after) => followImage(ground, id, signal, after),
    openArtifact: async (id, signal) => await openArtifact(ground, id, signal),
    cancel: async (id) => toImage(await cancelImage(ground, id)),
    retry: async (id, secrets = {}) => toImage(await retryImage(ground, id, secrets)),
    delete: async (id, secrets = {}) => await deleteImage(ground, id, secrets),
    parts: () => list.describe(),
    leftovers: async (cloud) => await listAllLeftovers(ground, cloud),
    reap: async (imageId, cloud) => {
      await reapLeftovers(ground, imageId)
      await reapDiscovered(ground, imageId, cloud)
      const left = await listAllLeftovers(ground, cloud)
      return imageId === undefined ? left : left.filter((one) => one.imageId === imageId)
    },
    kinds,
    [Symbol.asyncDispose]: async () => await callbacks[Symbol.asyncDispose](),
  }
}

/** What is known, and what builders find beside it. */
async function listAllLeftovers(ground: Ground, cloud?: string): Promise<Leftover[]> {
  const known = await listLeftovers(ground)
  return [...known, ...(await listDiscovered(ground, known, cloud))]
}

function makeGround(parts: FactoryParts): Ground {
  const { database, settings, context, secretKey, builders, targets } = parts
  const records = new Records(database, { now: context.now, maxLogSize: settings.maxLogSize })
  const secrets = new SecretTable(database, secretKey)
  const list = new PartList(builders, targets)
  let jobs = 0
  return {
    ...parts,
    parseTemplate: rememberTemplates(parts.parseTemplate),
    records,
    secrets,
    list,
    targetContent: (parts.targetContent ?? []).map((include) => withTarget(include, list)),
    news: new News(),
    callbacks: new Callbacks({ ...parts, records, secrets }),
    clearWorkDirs: async () => await removeLeftovers(jobPath(parts)),
    newWorkDir: () => workingPath(jobPath(parts), `j${(jobs += 1)}`),
  }
}

/** Files of Image Factory's call targets what it does: `openstack-kvm`. */
function withTarget(include: TargetContent[number], list: PartList): TargetContent[number] {
  const target = list.nameOf(include.key.target)
  return target === undefined ? include : { ...include, key: { ...include.key, target } }
}

function jobPath({ workDirectory }: FactoryParts): string {
  return join(workDirectory, 'job')
}

function checkSetting(setting: string, find: () => unknown): void {
  try {
    find()
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause
    throw new Failure('CONFIG_INVALID', `${setting}: ${cause.message}`, { cause })
  }
}

function checkSettings({ settings, list }: Ground): void {
  const names = new Set([...list.builders, ...list.targets].map(({ name }) => name))
  const { builder, providers, concurrency } = settings
  if (builder !== undefined) checkSetting('factory.builder', () => list.builder(builder))
  for (const [name, { target }] of Object.entries(providers))
    checkSetting(`factory.providers.${name}.target`, () => list.target(target))
  for (const name of Object.keys(concurrency))
    if (!names.has(name)) checkSetting(`factory.concurrency.${name}`, () => list.target(name))
}
