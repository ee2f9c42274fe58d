import { rm } from 'node:fs/promises'
import type { Context } from '../../base/context.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { BodyFacts, FitOrder } from '../engine/factory-parts.ts'
import { describeBody } from './_describe-body.ts'
import { readKeptFacts } from './_guest-facts.ts'
import { tellingBytes, toldTo } from './_told.ts'
import { bodyOf } from './body.ts'
import { fitBody, type FittedBody } from './fit-body.ts'
import type { BodiesParts } from './open-bodies.ts'
import { openBody } from './open-body.ts'
import { readPackagesOf } from './read-packages.ts'
import { storeBody } from './store-body.ts'

/** A copy of a body, changed by a recipe, as a body of its own; see `Bodies.fit`. */
export async function fitImage(
  parts: BodiesParts,
  order: FitOrder,
): Promise<BodyFacts | undefined> {
  const { job, imageId, name, requester, parent } = order
  const { context, image, template } = job
  const text = order.fit(await factsOf(parts, order))
  if (text === undefined) return undefined
  const { path, format, report, facts, packages } = await fit(parts, order, text)
  const { signal } = context
  toldTo(job).progress({ kind: 'phase', name: 'storing the image' })
  const tell = tellingBytes('store', context)
  await storeBody(parts, { imageId, name, path, format, requester, signal, tell })
  await rm(path, { force: true })
  await using body = await openBody(parts, imageId, signal)
  const known = { facts, packages, report, name, parentId: parent.id }
  const made = { madeBy: image.target ?? 'factory', parameters: image.parameters, template }
  return await describeBody(parts, body, { ...known, ...made, version: parts.version }, signal)
}

async function fit(
  parts: BodiesParts,
  { parent, job }: FitOrder,
  text: string,
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
      webRules: job.reach.web,
      uplink: job.reach.uplink,
      onReport: async (report) =>
        await job.keepDocument('report', `${JSON.stringify(report, undefined, 2)}\n`),
    },
    toldTo(job),
  )
}

/** Which system is in the parent: as it was found when that was stored, else it is looked at. */
async function factsOf(parts: BodiesParts, { parent, job }: FitOrder): Promise<Facts> {
  const bodyId = bodyOf(parent)
  const kept = await readKeptFacts(parts, bodyId)
  if (kept !== undefined) return kept
  const context: Context = job.context
  await using body = await openBody(parts, bodyId, context.signal)
  const reading = { workDir: job.workDir, cacheDir: parts.cacheDirectory }
  return (await readPackagesOf(body, reading, context)).facts
}
