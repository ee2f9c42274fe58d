/**
 * Hands a build to another Ingot, and follows it there: its percentage, activity, log and documents become those of this
 * build; its body is fetched, or stays. What was ordered is noted first, by a mark that the other side keeps too: after a
 * restart the build there is taken up, not begun anew.
 */
import { join } from 'node:path'
import type { Static } from 'typebox'
import { Failure, isFailure } from '../../base/failure.ts'
import { checkReach } from '../../bytes/web-request.ts'
import { Type } from '../../schema/type.ts'
import type { Json } from '../../tasks/task.ts'
import { DOCUMENT_KINDS, type DocumentKind } from '../factory-image.ts'
import {
  type BuiltImage,
  type ClearContext,
  defineOsBuilder,
  type Holding,
  type Job,
  type OsBuilder,
  type PhaseScene,
} from '../os-builder.ts'
import { packFiles } from '../template-files.ts'
import { OtherIngot, type OtherBuild, toBuild } from './_other-ingot.ts'

const options = Type.Object({
  remote: Type.Optional(
    Type.String({ description: 'one of factory.remotes of the configuration' }),
  ),
  endpoint: Type.Optional(
    Type.String({ pattern: '^https?://', description: 'or the base address of an Ingot' }),
  ),
  token: Type.Optional(
    Type.String({ description: 'for that address, in X-Auth-Token', secret: true }),
  ),
  remote_builder: Type.Optional(Type.String({ description: 'the OS builder to use there' })),
  remote_parameters: Type.Optional(
    Type.Record(Type.String(), Type.Unsafe<unknown>({}), { description: 'its parameters' }),
  ),
  result: Type.Union([Type.Literal('store'), Type.Literal('stay')], {
    default: 'store',
    description: 'fetch the body and delete the build there, or leave both there',
  }),
})
type Options = Static<typeof options>

/** Other Ingots of the configuration, by name. */
export type Remotes = Readonly<
  Record<string, { readonly endpoint: string; readonly token?: string | undefined }>
>

/** By what a build there is known as ours: a parameter that nobody there knows, and everybody keeps. */
const MARK = 'ordered_by'

/** After this entry comes none. */
const NO_LOG = 2 ** 31 - 1

/** A build there. `id` is null until it is known. */
interface Thing {
  readonly remote: string | null
  readonly endpoint: string
  readonly mark: string
  readonly id: string | null
  /** The last entry of its log that was taken over. */
  readonly after: number
}

/** `remotes`: those of the configuration, whose tokens go nowhere else. */
export function remoteBuilder(remotes: Remotes): OsBuilder<Options> {
  return defineOsBuilder<Options>({
    name: 'remote',
    summary: 'hands builds to another Ingot',
    options,
    concurrency: 64,
    takesUp: true,
    refuses: (_template, { remote, endpoint }) =>
      remote === undefined && endpoint === undefined ? 'no remote is named' : undefined,
    build: (job) => build(job, remotes),
    clear: (things, context) => clear(things, context, remotes),
  })
}

async function build(job: Job<Options>, remotes: Remotes): Promise<BuiltImage> {
  const { log, holdings, context, image, attempt } = job
  const place = placeOf(job.options, remotes)
  if (place.known.remote === null) await checkReach(new URL(place.endpoint), job.reach.web)
  if (place.token !== undefined) job.addSecret(place.token)
  await using other = new OtherIngot({ ...place, signal: context.signal })
  const first: Thing = { ...place.known, mark: `${image.id}/${attempt}`, id: null, after: 0 }
  const found = holdings.find(isThing)
  const holding = found ?? (await holdings.add(toJson(first)))
  const thing = found === undefined ? first : fromJson(found.thing)
  const earlier = found === undefined ? undefined : await findThere(other, thing)
  const begun =
    earlier ??
    (await job.phase({ name: 'ordering it there', from: 0, to: 2 }, () => order(job, other, thing)))
  const known = { ...thing, id: begun.id }
  await holding.update(toJson(known))
  log.event(`build ${begun.id} of ${place.endpoint}`)
  await job.setProperties({ remote_endpoint: place.endpoint, remote_build: begun.id })
  const to = job.options.result === 'store' ? 80 : 98
  await job.phase({ name: 'building there', from: 2, to }, (scene) =>
    follow(job, other, { holding, thing: known, scene }),
  )
  const ended = await other.show(begun.id)
  await keepDocuments(job, other, ended)
  if (ended.status !== 'COMPLETE')
    throw new Failure('BUILD_FAILED', `the build there ${ended.status}: ${ended.error ?? ''}`)
  return await takeResult(job, other, ended, holding)
}

/** What was ordered before; undefined: it did not get there. */
async function findThere(other: OtherIngot, { id, mark }: Thing): Promise<OtherBuild | undefined> {
  return id === null ? await other.findBy(MARK, mark) : await other.show(id)
}

async function order(job: Job<Options>, other: OtherIngot, thing: Thing): Promise<OtherBuild> {
  const { template } = job
  const { remote_builder: builder, remote_parameters: parameters = {} } = job.options
  return await other.order({
    type: 'base',
    template: template.text,
    files: packFiles(template.files),
    ...(builder !== undefined && { builder }),
    parameters: { ...parameters, [MARK]: thing.mark },
    lenient: true,
  })
}

interface Following {
  readonly holding: Holding
  readonly thing: Thing
  readonly scene: PhaseScene
}

/** Tells here what happens there, until it has ended. */
async function follow(
  { log }: Job<Options>,
  other: OtherIngot,
  { holding, thing, scene }: Following,
): Promise<void> {
  let { after } = thing
  let status = ''
  for await (const { event, id, data } of other.follow(thing.id ?? '', after)) {
    const value = parseEvent(data)
    if (event === 'log') {
      if (id !== undefined) after = Number(id)
      tellEntry(log, value)
      continue
    }
    const build = toBuild(value)
    scene.tell(build.percent / 100, build.activity)
    if (build.status !== status) await holding.update(toJson({ ...thing, after }))
    status = build.status
  }
}

/** Fails with CLOUD_FAILED. */
function parseEvent(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new Failure('CLOUD_FAILED', 'what the other side tells of the build is no JSON', {
      cause,
    })
  }
}

function tellEntry(log: Job['log'], value: unknown): void {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('text' in value))
    return
  const { kind, text } = value
  if (typeof text !== 'string') return
  if (kind === 'console') log.console(text)
  else if (kind === 'output') log.output(text)
  else if (kind === 'event') log.event(text)
}

/** Those of a build that failed tell why. */
async function keepDocuments(
  job: Job<Options>,
  other: OtherIngot,
  { id }: OtherBuild,
): Promise<void> {
  for (const kind of DOCUMENT_KINDS) {
    const content = await other.document(id, kind)
    if (content === undefined) continue
    await job.keepDocument(kind, isText(kind) ? content.toString('utf8') : content)
  }
}

function isText(kind: DocumentKind): boolean {
  return kind !== 'screenshot'
}

async function takeResult(
  job: Job<Options>,
  other: OtherIngot,
  { id, imageId }: OtherBuild,
  holding: Holding,
): Promise<BuiltImage> {
  const properties = { remote_image: imageId }
  if (job.options.result === 'stay') {
    await holding.drop()
    return { properties }
  }
  if (imageId === null) throw new Failure('BUILD_FAILED', `build ${id} has no body there`)
  const path = join(job.workDir, 'fetched.qcow2')
  await job.phase({ name: 'fetching the image', from: 80, to: 96 }, ({ tell }) =>
    other.saveImage(imageId, path, (done, total) => {
      if (total !== undefined) tell(done / total)
    }),
  )
  await job.phase({ name: 'deleting it there', from: 96, to: 98 }, () => other.delete(id))
  await holding.drop()
  return { body: { path, format: 'qcow2' }, properties }
}

/** Builds that nobody follows any more are cancelled and deleted there. */
async function clear(
  things: readonly Json[],
  { signal, buildLog, secrets }: ClearContext,
  remotes: Remotes,
): Promise<readonly Json[]> {
  const left: Json[] = []
  for (const json of things) {
    const thing = fromJson(json)
    const given = secrets?.['token']
    const own = typeof given === 'string' ? given : undefined
    const token = thing.remote === null ? own : remotes[thing.remote]?.token
    await using other = new OtherIngot({ endpoint: thing.endpoint, token, signal })
    try {
      const id = (await findThere(other, thing))?.id
      if (id === undefined) continue
      await endThere(other, id)
      buildLog.event(`build ${id} of ${thing.endpoint} is removed`)
    } catch (error) {
      if (isFailure(error, 'CLOUD_NOT_FOUND')) continue
      if (!(error instanceof Failure)) throw error
      buildLog.event(`build ${thing.id ?? ''} of ${thing.endpoint}: ${error.message}`)
      left.push(json)
    }
  }
  return left
}

async function endThere(other: OtherIngot, id: string): Promise<void> {
  await other.cancel(id).catch((error: unknown) => {
    if (!isFailure(error, 'BUILD_STATE')) throw error // it has ended
  })
  await Array.fromAsync(other.follow(id, NO_LOG))
  await other.delete(id)
}

interface Place {
  readonly endpoint: string
  readonly token: string | undefined
  readonly known: Pick<Thing, 'remote' | 'endpoint'>
}

/** Fails with REQUEST_INVALID. */
function placeOf({ remote, endpoint, token }: Options, remotes: Remotes): Place {
  if (endpoint !== undefined) {
    if (!URL.canParse(endpoint))
      throw new Failure('REQUEST_INVALID', `endpoint: wanted an address, found '${endpoint}'`)
    return { endpoint, token, known: { remote: null, endpoint } }
  }
  const found = remote !== undefined && Object.hasOwn(remotes, remote) ? remotes[remote] : undefined
  if (remote === undefined || found === undefined)
    throw new Failure('REQUEST_INVALID', `no remote is called ${remote}`, {
      fix: `There are: ${Object.keys(remotes).join(', ') || 'none'}.`,
    })
  const known = { remote, endpoint: found.endpoint }
  return { endpoint: found.endpoint, token: found.token, known }
}

function isThing(value: Json): boolean {
  return typeof value === 'object' && value !== null && 'mark' in value
}

function toJson({ remote, endpoint, mark, id, after }: Thing): Json {
  return { remote, endpoint, mark, id, after }
}

/** It is what `toJson` made. */
function fromJson(value: Json): Thing {
  return value as unknown as Thing // kept by us, and read by nobody else
}
