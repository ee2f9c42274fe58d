import { rm } from 'node:fs/promises'
import type { Context } from '../../base/context.ts'
import { isFailure } from '../../base/failure.ts'
import type { Facts } from '../../remotes/facts.ts'
import { importImage } from '../builders/import.ts'
import type { Bodies, BodyFacts, FitOrder, StoredDisk } from '../factory-parts.ts'
import type { Template } from '../template.ts'
import { describeBody, isComplete } from './_describe-body.ts'
import { readKeptFacts } from './_guest-facts.ts'
import { bodyOf, type BodyParts } from './body.ts'
import { fitBody } from './fit-body.ts'
import { openBody } from './open-body.ts'
import { openDiskArtifact } from './open-disk-artifact.ts'
import { openPushedDisk } from './open-pushed-disk.ts'
import { type ReadGuest, readPackagesOf } from './read-packages.ts'
import { storeBody } from './store-body.ts'

export interface BodiesParts extends BodyParts {
  /** Fails with TEMPLATE_INVALID, RECIPE_INVALID. */
  readonly parseTemplate: (given: { readonly text: string }) => Promise<Template>
  /** For copies, if a guest has to be opened in the appliance; and for what is worth keeping between builds. Both exist. */
  readonly workDirectory: string
  readonly cacheDirectory: string
  /**
   * Whether this host mounts images that the factory made, and runs their programs, to fit them: quick, and as safe as
   * those who order builds can be trusted. Default no: they are opened in the appliance.
   */
  readonly trustsImages?: boolean
  /** Of Ingot. */
  readonly version: string
}

/** The bodies of factory images, as the engine asks for them. */
export function openBodies(parts: BodiesParts): Bodies {
  const reading = { workDir: parts.workDirectory, cacheDir: parts.cacheDirectory }
  return {
    store: async (disk) => await storeDisk(parts, disk),
    fit: async (order) => await fit(parts, order),
    openDisk: async (image) => {
      const options = { name: image.name ?? image.id, signal: parts.context.signal }
      return await openPushedDisk(parts, bodyOf(image), options)
    },
    openArtifact: async (image, format) => {
      const name = image.name ?? image.id
      await using opened = new AsyncDisposableStack()
      const { signal } = parts.context
      const disk = opened.use(await openPushedDisk(parts, bodyOf(image), { name, signal }))
      const artifact = await openDiskArtifact(disk, format, name)
      const closing = opened.move()
      return { ...artifact, [Symbol.asyncDispose]: () => closing.disposeAsync() }
    },
    importImage: async (order, imageId, signal) =>
      await importImage({ ...parts, ...reading }, { ...order, imageId }, signal),
  }
}

async function storeDisk(parts: BodiesParts, disk: StoredDisk): Promise<BodyFacts> {
  const { imageId, name, path, format, requester, template, documents: given, job } = disk
  const { image, context } = job
  const { signal } = context
  await storeBody(parts, { imageId, name, path, format, requester, signal, tell: telling(context) })
  await using body = await openBody(parts, imageId, signal)
  const guest = isComplete(given)
    ? undefined
    : await readPackagesOf(
        body,
        { workDir: job.workDir, cacheDir: parts.cacheDirectory },
        context,
      ).catch((error: unknown) => unreadable(error, disk))
  return await describeBody(
    parts,
    body,
    {
      ...guest,
      name,
      madeBy: image.builder ?? image.target ?? 'factory',
      template,
      parameters: image.parameters,
      given,
      version: parts.version,
    },
    signal,
  )
}

/** A disk that nobody can read is a disk all the same; only its documents are fewer. */
function unreadable(error: unknown, { job }: StoredDisk): undefined {
  if (!isFailure(error) || job.context.signal.aborted) throw error
  job.log.event(`what is in the disk is not told: ${error.message}`)
}

async function fit(parts: BodiesParts, order: FitOrder): Promise<BodyFacts | undefined> {
  const { imageId, parent, name, requester, job } = order
  const { context, log, workDir } = job
  const text = order.fit(await factsOf(parts, bodyOf(parent), order))
  if (text === undefined) return undefined
  const template = await parts.parseTemplate({ text })
  const fitted = await fitBody(
    parts,
    {
      imageId: bodyOf(parent),
      recipe: template.recipe,
      values: new Map(),
      trusted: parts.trustsImages ?? false,
      workDir,
      cacheDir: parts.cacheDirectory,
      onReport: async (report) =>
        await job.keepDocument('report', `${JSON.stringify(report, undefined, 2)}\n`),
    },
    toldTo(log, context),
  )
  const { path, format, report, facts, packages } = fitted
  const { signal } = context
  await storeBody(parts, { imageId, name, path, format, requester, signal, tell: telling(context) })
  await rm(path, { force: true })
  await using body = await openBody(parts, imageId, signal)
  return await describeBody(
    parts,
    body,
    {
      facts,
      packages,
      report,
      name,
      madeBy: job.image.target ?? 'factory',
      parentId: parent.id,
      template: job.template,
      parameters: job.image.parameters,
      version: parts.version,
    },
    signal,
  )
}

/** Which system is in a body: as it was found when it was stored, else it is looked at. */
async function factsOf(
  parts: BodiesParts,
  bodyId: string,
  { job: { context, workDir } }: FitOrder,
): Promise<Facts> {
  const kept = await readKeptFacts(parts, bodyId)
  if (kept !== undefined) return kept
  await using body = await openBody(parts, bodyId, context.signal)
  const reading = { workDir, cacheDir: parts.cacheDirectory }
  const { facts }: ReadGuest = await readPackagesOf(body, reading, context)
  return facts
}

function telling({ progress }: Context): (fraction: number) => void {
  return (fraction) =>
    progress({ kind: 'bytes', name: 'store', done: Math.round(fraction * 1000), total: 1000 })
}

/** What happens in the guest, in the job's log as well. */
function toldTo(log: FitOrder['job']['log'], context: Context): Context {
  return {
    ...context,
    progress: (event) => {
      if (event.kind === 'output') log.output(`${event.line}\n`)
      if (event.kind === 'phase') log.event([event.name, event.detail].filter(Boolean).join(': '))
      if (event.kind === 'step-end' && event.status !== 'held')
        log.event(`${event.title}: ${event.status}`)
      context.progress(event)
    },
  }
}
