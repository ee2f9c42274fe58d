/** The work of each stage: who does it, and what becomes of what they made. */
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import type { ImageRow } from './_factory-tables.ts'
import { canFit, fitRecipe } from './_fit-recipe.ts'
import { toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import type { StageJob } from './_job.ts'
import { maskProvider } from './_mask-of.ts'
import { pushJob } from './_push-job.ts'
import { reachedProvider } from './_reached-provider.ts'
import type { RowChange } from './_records.ts'
import type { Secrets } from './_secrets.ts'
import type { FactoryImage, JsonObject } from '../factory-image.ts'
import type { Documents } from './factory-parts.ts'
import type { PhaseScene } from '../os-builder.ts'

/** What a stage ends with. */
export interface Made {
  readonly change: RowChange
  readonly documents?: Documents
  readonly properties?: JsonObject | undefined
}

/** Shares of what is told as `bytes`, and (empty) of the steps of a recipe. */
const FITTING = { copy: [0, 0.3], '': [0.3, 0.7], store: [0.7, 1] } as const

/** From here on the disk is stored; what comes before is the part's own. */
const STORING = { from: 90, to: 99 }

export async function makeStage(
  ground: Ground,
  job: StageJob,
  row: ImageRow,
  secrets: Secrets,
): Promise<Made> {
  if (row.type === 'base') return await buildBase(ground, job, row)
  const parent = await parentOf(ground, row)
  if (row.type === 'target') return await makeTarget(ground, job, row, parent)
  return await pushImage(ground, job, row, { parent, secrets })
}

async function buildBase(ground: Ground, job: StageJob, row: ImageRow): Promise<Made> {
  const builder = ground.list.builder(row.builder ?? '')
  const built = await builder.build(job)
  const { body, documents = {}, properties } = built
  if (body === undefined) return { change: {}, documents, properties }
  const stored = await job.phase(
    { name: 'storing the image', ...STORING },
    async ({ signal, tell }) =>
      ground.bodies.store({
        ...body,
        imageId: row.id,
        name: row.name ?? row.id,
        requester: requesterOf(row),
        template: job.template,
        documents,
        job: job.with({ context: { ...job.context, signal } }),
        tell,
      }),
  )
  return {
    change: { body_id: stored.bodyId },
    documents: stored.documents,
    properties: { ...properties, ...stored.properties },
  }
}

/** An image into which nothing is put shares the body of its parent. */
async function makeTarget(
  ground: Ground,
  job: StageJob,
  row: ImageRow,
  parent: FactoryImage,
): Promise<Made> {
  const target = ground.list.target(row.target ?? '')
  const { options, template } = job
  const content = ground.targetContent
  const shared = { change: { body_id: parent.bodyId }, properties: parent.properties }
  if (!canFit({ target, content })) return shared
  if (parent.bodyId === null) {
    job.log.event('nothing is put into it: its body stays in a cloud')
    return shared
  }
  const stored = await job.phase({ name: 'fitting the image', from: 0, to: 99 }, async (scene) =>
    ground.bodies.fit({
      imageId: row.id,
      parent,
      name: row.name ?? row.id,
      requester: requesterOf(row),
      fit: (facts) => fitRecipe({ target, options, content, template }, facts),
      job: job.with({ context: heard(ground, scene, FITTING) }),
    }),
  )
  if (stored === undefined) return shared
  return {
    change: { body_id: stored.bodyId },
    documents: stored.documents,
    properties: { ...parent.properties, ...stored.properties },
  }
}

async function pushImage(
  ground: Ground,
  job: StageJob,
  row: ImageRow,
  { parent, secrets }: { parent: FactoryImage; secrets: Secrets },
): Promise<Made> {
  const target = ground.list.target(row.target ?? '')
  const provider = await reachedProvider(ground, row, secrets)
  if (target.push === undefined)
    throw new Failure('REQUEST_INVALID', `images of target ${target.name} cannot be pushed`)
  maskProvider(job.mask, target, provider)
  await using pushing = await pushJob(ground, job, { targetImage: parent, provider })
  const { identifier, account, properties } = await target.push(pushing.job)
  return {
    change: { identifier_on_provider: identifier, provider_account: account ?? null },
    properties,
  }
}

/** A context in which bytes and steps move the percentage of a phase, and what is begun is its activity. */
function heard(
  { context }: Ground,
  { signal, tell }: PhaseScene,
  shares: Readonly<Record<string, readonly [from: number, to: number]>>,
): Context {
  let fraction = 0
  const move = (name: string, done: number, total: number | undefined) => {
    const [from, to] = shares[name] ?? [0, 0]
    if (to > 0 && total) tell((fraction = from + (to - from) * Math.min(1, done / total)))
  }
  return {
    ...context,
    signal,
    progress: (event) => {
      if (event.kind === 'phase')
        tell(fraction, event.detail ? `${event.name}: ${event.detail}` : event.name)
      if (event.kind === 'bytes') move(event.name, event.done, event.total)
      if (event.kind === 'step' && event.index !== undefined) move('', event.index, event.total)
    },
  }
}

/** It was COMPLETE when this was begun; it may have been deleted since. Fails with BUILD_STATE. */
async function parentOf({ records }: Ground, row: ImageRow): Promise<FactoryImage> {
  const parent = row.parent_id === null ? undefined : await records.find(row.parent_id)
  if (parent?.status === 'COMPLETE') return toImage(parent)
  throw new Failure(
    'BUILD_STATE',
    `the image it is made of, ${row.parent_id}, is ${parent ? parent.status : 'gone'}`,
  )
}

function requesterOf({ owner, user_id: userId, request_id: requestId }: ImageRow) {
  return { owner, userId, requestId }
}
