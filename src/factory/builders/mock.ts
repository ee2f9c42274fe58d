/**
 * Makes base images out of nothing, in no time: for trying the factory, its API and its callbacks. It can be told to
 * fail, to wait, to hold things, to talk. Source: the names of Image Factory's plugin MockOS.
 */
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Static } from 'typebox'
import { Failure } from '../../base/failure.ts'
import { KiB, MiB } from '../../base/units.ts'
import { Type } from '../../schema/type.ts'
import type { Json } from '../../tasks/task.ts'
import { type BuiltImage, type ClearContext, defineOsBuilder, type Job } from '../os-builder.ts'

const options = Type.Object({
  builder: Type.Optional(Type.String({ description: 'mock, for templates of real systems' })),
  mock_size: Type.Integer({
    minimum: 512,
    maximum: 1024 * MiB,
    default: 64 * KiB,
    description: 'bytes of the disk',
  }),
  mock_console: Type.Optional(
    Type.String({ maxLength: 1_000_000, description: 'text that the guest prints' }),
  ),
  mock_wait: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 86_400,
      description: 'seconds that it waits before it makes the disk',
    }),
  ),
  mock_hold: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100,
      description: 'things that it makes elsewhere: files in the cache, removed at the end',
    }),
  ),
  mock_fail: Type.Optional(Type.String({ description: 'what it fails with, after all else' })),
  mock_secret: Type.Optional(
    Type.String({ description: 'it tells this in its log, where it must not stand', secret: true }),
  ),
})
type Options = Static<typeof options>

/** Source: MockOS takes any version of the first, and one of the second. */
const NAMES = /^MockOS_[AB]$/
const THINGS = 'mock-things'

export const mockBuilder = defineOsBuilder<Options>({
  name: 'mock',
  summary: 'small disks with nothing on them, for trials',
  options,
  concurrency: 32,
  refuses({ os }, { builder }) {
    if (builder === 'mock') return undefined
    if (os === undefined) return 'it makes nothing of recipes unless it is asked to'
    if (!NAMES.test(os.name)) return 'it makes MockOS_A and MockOS_B'
    const isKnown = os.name === 'MockOS_A' || (os.version === '1' && os.arch === 'x86_64')
    return isKnown ? undefined : 'of MockOS_B it makes version 1 for x86_64'
  },
  build,
  clear,
})

async function build(job: Job<Options>): Promise<BuiltImage> {
  const { options, workDir, log, image, template } = job
  const things = await hold(job, options.mock_hold ?? 0)
  if (options.mock_secret !== undefined) log.event(`the secret is ${options.mock_secret}`)
  if (options.mock_console !== undefined) log.console(options.mock_console)
  const path = join(workDir, 'disk.raw')
  await job.phase({ name: 'making a mock image', from: 0, to: 80 }, async ({ signal, tell }) => {
    if (options.mock_wait) await sleep(options.mock_wait * 1000, undefined, { signal })
    tell(0.5)
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(options.mock_size)
    await file.write(`Mock base image ${image.id} of ${template.name}\n`)
  })
  if (options.mock_fail !== undefined) throw new Failure('BUILD_FAILED', options.mock_fail)
  for (const thing of things) {
    await rm(thing.path, { force: true })
    await thing.drop()
  }
  return { body: { path, format: 'raw' }, documents: documentsOf(job) }
}

/** Each is written down before it is made. */
async function hold({ holdings, cacheDir, context }: Job<Options>, count: number) {
  const things: { path: string; drop: () => Promise<void> }[] = []
  for (let at = 0; at < count; at++) {
    const name = context.newId()
    const path = join(cacheDir, THINGS, name)
    const holding = await holdings.add({ path })
    await mkdir(join(cacheDir, THINGS), { recursive: true })
    await writeFile(path, 'a thing of a mock build\n')
    await holding.update({ path, made: true })
    things.push({ path, drop: async () => await holding.drop() })
  }
  return things
}

async function clear(
  things: readonly Json[],
  { buildLog }: ClearContext,
): Promise<readonly Json[]> {
  const left: Json[] = []
  for (const thing of things) {
    const path =
      typeof thing === 'object' && thing !== null && 'path' in thing ? thing.path : undefined
    if (typeof path !== 'string') continue // none of this builder's
    try {
      await rm(path, { force: true })
      buildLog.event(`removed ${basename(path)}`)
    } catch {
      left.push(thing)
    }
  }
  return left
}

/** All of them, so that nobody looks for a system in the disk. */
function documentsOf({ image, template }: Job<Options>) {
  const { id } = image
  const { name } = template
  return {
    icicle: '<icicle><packages></packages></icicle>\n',
    sbom: `${JSON.stringify({ spdxVersion: 'SPDX-2.3', SPDXID: 'SPDXRef-DOCUMENT', dataLicense: 'CC0-1.0', name, documentNamespace: `urn:uuid:${id}`, packages: [] })}\n`,
    manifest: `${JSON.stringify({ manifestVersion: 1, image: { id, name, format: 'raw' }, madeBy: 'mock', packages: [] })}\n`,
  }
}
