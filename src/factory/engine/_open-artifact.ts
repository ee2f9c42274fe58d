/** The body of an image as its target wants it. */
import { mkdir, rm } from 'node:fs/promises'
import { Failure } from '../../base/failure.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { takeOptions } from './_take-options.ts'
import { templateOf } from './_template-of.ts'
import type { CloudTarget } from '../cloud-target.ts'
import type { FactoryImage } from '../factory-image.ts'
import type { OpenArtifact } from '../factory.ts'
import type { Job } from '../os-builder.ts'

/** Fails with BUILD_NOT_FOUND, BUILD_STATE (not COMPLETE), OBJECT_NOT_FOUND (it has no body here). */
export async function openArtifact(
  ground: Ground,
  id: string,
  signal: AbortSignal,
): Promise<OpenArtifact> {
  const row = await ground.records.demand(id)
  const image = toImage(row)
  const { type, status, name, bodyId, parentId } = image
  if (status !== 'COMPLETE')
    throw new Failure('BUILD_STATE', `${type} image ${id} is ${status}`, {
      details: { id, status },
    })
  if (bodyId === null)
    throw new Failure('OBJECT_NOT_FOUND', `${type} image ${id} has no body here`, {
      details: { id },
      ...(parentId !== null && { fix: `Take what it was made of: ${parentId}.` }),
    })
  const disk = { kind: 'disk', bodyId, name: name ?? id } as const
  if (image.target === null) return { ...disk, format: 'raw' }
  const target = ground.list.target(image.target)
  const options = takeOptions(target.options, image.parameters)
  if (target.openArtifact === undefined) return { ...disk, format: target.format(options) }
  const context = { ...ground.context, signal: AbortSignal.any([ground.context.signal, signal]) }
  const open = target.openArtifact.bind(target)
  return await openFile({ ...ground, context }, open, { row, image, options })
}

/** What the target itself makes of the disk. */
async function openFile(
  ground: Ground,
  open: NonNullable<CloudTarget['openArtifact']>,
  { row, image, options }: { row: ImageRow; image: FactoryImage; options: unknown },
): Promise<OpenArtifact> {
  await using opened = new AsyncDisposableStack()
  const workDir = ground.newWorkDir()
  opened.defer(async () => await rm(workDir, { recursive: true, force: true }))
  await mkdir(workDir)
  const disk = opened.use(await ground.bodies.openDisk(image, ground.context.signal))
  const template = await templateOf(ground, row)
  const job = looseJob(ground, { image, options, workDir, template })
  const artifact = await open({ ...job, targetImage: image, disk })
  const closing = opened.move()
  return { ...artifact, kind: 'file', [Symbol.asyncDispose]: () => closing.disposeAsync() }
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
