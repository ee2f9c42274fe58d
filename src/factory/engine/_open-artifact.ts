/** The body of an image as its target wants it. */
import { mkdir, rm } from 'node:fs/promises'
import { Failure } from '../../base/failure.ts'
import { toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { takeOptions } from './_take-options.ts'
import { templateOf } from './_template-of.ts'
import type { Artifact, CloudTarget, PushJob } from '../cloud-target.ts'
import type { FactoryImage, JsonObject } from '../factory-image.ts'
import type { Job } from '../os-builder.ts'

/** Fails with BUILD_NOT_FOUND, BUILD_STATE (not COMPLETE), OBJECT_NOT_FOUND (it has no body here). */
export async function openArtifact(
  ground: Ground,
  id: string,
): Promise<Artifact & AsyncDisposable> {
  const row = await ground.records.demand(id)
  const image = toImage(row)
  if (image.status !== 'COMPLETE')
    throw new Failure('BUILD_STATE', `${image.type} image ${id} is ${image.status}`, {
      details: { id, status: image.status },
    })
  if (image.bodyId === null)
    throw new Failure('OBJECT_NOT_FOUND', `${image.type} image ${id} has no body here`, {
      details: { id },
      ...(image.parentId !== null && { fix: `Take what it was made of: ${image.parentId}.` }),
    })
  const { signal } = ground.context
  if (image.target === null) return await ground.bodies.openArtifact(image, 'raw', signal)
  const target = ground.list.target(image.target)
  const options = takeOptions(target.options, image.parameters)
  if (target.openArtifact === undefined)
    return await ground.bodies.openArtifact(image, target.format(options), signal)
  return await byTarget(ground, target, image, options)
}

/** What the target itself makes of the disk. */
async function byTarget(
  ground: Ground,
  target: CloudTarget,
  image: FactoryImage,
  options: JsonObject | Record<string, unknown>,
): Promise<Artifact & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const workDir = ground.newWorkDir()
  opened.defer(async () => await rm(workDir, { recursive: true, force: true }))
  await mkdir(workDir)
  const { signal } = ground.context
  const disk = opened.use(await ground.bodies.openDisk(image, signal))
  const template = await templateOf(ground, await ground.records.demand(image.id))
  const job = looseJob(ground, { image, options, workDir, template })
  const pushing: Omit<PushJob, 'provider'> = { ...job, targetImage: image, disk }
  const artifact = await target.openArtifact?.(pushing)
  if (artifact === undefined) throw new Error('the target makes no artifact')
  const closing = opened.move()
  return { ...artifact, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

const keepNothing = async () => {}

/** A job for somebody who waits: nothing of it is kept. */
function looseJob(
  { context, cacheDirectory, reach }: Ground,
  given: Pick<Job, 'image' | 'options' | 'workDir' | 'template'>,
): Job {
  return {
    ...given,
    cacheDir: cacheDirectory,
    attempt: 1,
    log: { event: () => {}, console: () => {}, output: () => {} },
    holdings: {
      all: [],
      find: () => undefined,
      add: async () => ({ update: keepNothing, drop: keepNothing }),
    },
    reach,
    context,
    phase: async (_phase, work) => await work({ signal: context.signal, tell: () => {} }),
    setProperties: keepNothing,
    keepDocument: keepNothing,
    addSecret: () => {},
  }
}
