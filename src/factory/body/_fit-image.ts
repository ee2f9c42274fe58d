import { rm } from 'node:fs/promises'
import type { Context, ProgressEvent } from '../../base/context.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { BodyFacts, FitOrder } from '../factory-parts.ts'
import type { Job, PhaseScene } from '../os-builder.ts'
import { describeBody } from './_describe-body.ts'
import { readKeptFacts } from './_guest-facts.ts'
import { bodyOf } from './body.ts'
import { fitBody, type FittedBody } from './fit-body.ts'
import type { BodiesParts } from './open-bodies.ts'
import { openBody } from './open-body.ts'
import { readPackagesOf } from './read-packages.ts'
import { storeBody } from './store-body.ts'

/** Share of the percentage at which each phase begins. */
const AT = { look: 0, fit: 5, store: 85, end: 99 } as const

/** A copy of a body, changed by a recipe, as a body of its own; see `Bodies.fit`. */
export async function fitImage(
  parts: BodiesParts,
  order: FitOrder,
): Promise<BodyFacts | undefined> {
  const { parent, job, imageId, name, requester } = order
  const facts = await job.phase(
    { name: 'looking at the image', from: AT.look, to: AT.fit },
    async ({ signal }) => await factsOf(parts, order, { ...job.context, signal }),
  )
  const text = order.fit(facts)
  if (text === undefined) return undefined
  const fitted = await job.phase(
    { name: 'fitting the image', from: AT.fit, to: AT.store },
    async (scene) => await fit(parts, order, text, scene),
  )
  return await job.phase(
    { name: 'storing the image', from: AT.store, to: AT.end },
    async ({ signal, tell }) => {
      const { path, format, report, packages } = fitted
      await storeBody(parts, { imageId, name, path, format, requester, signal, tell })
      await rm(path, { force: true })
      await using body = await openBody(parts, imageId, signal)
      const known = { facts: fitted.facts, packages, report, name, parentId: parent.id }
      const { template, image } = job
      const made = { madeBy: image.target ?? 'factory', parameters: image.parameters, template }
      return await describeBody(parts, body, { ...known, ...made, version: parts.version }, signal)
    },
  )
}

async function fit(
  parts: BodiesParts,
  { parent, job }: FitOrder,
  text: string,
  scene: PhaseScene,
): Promise<FittedBody> {
  const { recipe } = await parts.parseTemplate({ text })
  return await fitBody(
    parts,
    {
      imageId: bodyOf(parent),
      recipe,
      values: new Map(),
      trusted: parts.trustsImages ?? false,
      workDir: job.workDir,
      cacheDir: parts.cacheDirectory,
      onReport: async (report) =>
        await job.keepDocument('report', `${JSON.stringify(report, undefined, 2)}\n`),
    },
    { ...job.context, signal: scene.signal, progress: (event) => tellOf(event, job.log, scene) },
  )
}

/** What happens in the guest, as the job's log and percentage tell it. */
export function tellOf(event: ProgressEvent, log: Job['log'], { tell }: Pick<PhaseScene, 'tell'>) {
  if (event.kind === 'output') log.output(`${event.line}\n`)
  if (event.kind === 'phase') log.event([event.name, event.detail].filter(Boolean).join(': '))
  if (event.kind === 'step-end' && event.status !== 'held')
    log.event(`${event.title}: ${event.status}`)
  if (event.kind === 'bytes') tell((0.2 * event.done) / (event.total ?? event.done))
  if (event.kind !== 'step') return
  const { index = 1, total = 1, title } = event
  tell(0.2 + (0.8 * (index - 1)) / total, title)
}

/** Which system is in the parent: as it was found when that was stored, else it is looked at. */
async function factsOf(
  parts: BodiesParts,
  { parent, job }: FitOrder,
  context: Context,
): Promise<Facts> {
  const bodyId = bodyOf(parent)
  const kept = await readKeptFacts(parts, bodyId)
  if (kept !== undefined) return kept
  await using body = await openBody(parts, bodyId, context.signal)
  const reading = { workDir: job.workDir, cacheDir: parts.cacheDirectory }
  return (await readPackagesOf(body, reading, context)).facts
}
