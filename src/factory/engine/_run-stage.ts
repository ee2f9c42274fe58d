/**
 * One stage, from its beginning: a task of the ledger makes one image. What it makes is noted before it is made; what
 * becomes of it is written in one transaction with the end of the task, and with the tasks of what waited for it.
 */
import { mkdir, rm } from 'node:fs/promises'
import { Failure, isFailure } from '../../base/failure.ts'
import type { Lease, Task } from '../../tasks/task.ts'
import { beginChildren } from './_children.ts'
import { clearThings } from './_clear-things.ts'
import type { ImageRow } from './_factory-tables.ts'
import { announce, type Ground, offerAll, reachOf } from './_ground.ts'
import { LeaseHoldings } from './_holdings.ts'
import { StageJob } from './_job.ts'
import type { Mask } from './_mask.ts'
import { maskOf } from './_mask-of.ts'
import { maskedError } from './_masked-error.ts'
import { makeStage, type Made } from './_make-stage.ts'
import { Recorder } from './_recorder.ts'
import type { Secrets } from './_secrets.ts'
import { deadline, stopInTime } from './_stop-in-time.ts'
import { takeCommon, takeOptions } from './_take-options.ts'
import { templateOf } from './_template-of.ts'
import type { JsonObject } from '../factory-image.ts'

/** The image that a task is about. */
export function imageIdOf({ input, type }: Task): string {
  const id =
    typeof input === 'object' && input !== null && 'factoryImageId' in input
      ? input.factoryImageId
      : undefined
  if (typeof id === 'string') return id
  throw new Error(`a task of type ${type} names no factory image`)
}

export async function runStage(ground: Ground, lease: Lease): Promise<void> {
  const row = await ground.records.demand(imageIdOf(lease.task))
  const secrets = await ground.secrets.read(row.id)
  const mask = maskOf(ground, row, secrets)
  const recorder = openRecorder(ground, row, lease, mask)
  ground.callbacks.remember(row.id, secrets.parameters?.['callbacks'])
  const parameters: JsonObject = { ...JSON.parse(row.parameters), ...secrets.parameters }
  const common = takeCommon(parameters)
  const ms = common.timeout === undefined ? ground.settings.jobTimeoutMs : common.timeout * 1000
  using limit = deadline(ms, () => tooLong(row, ms))
  const signal = AbortSignal.any([lease.signal, limit.signal])
  let job: StageJob | undefined
  const workDir = ground.newWorkDir()
  let isCleared = false
  try {
    begin(recorder, lease, ground.context.now())
    await clearEarlier(ground, { row, secrets, lease, recorder, signal })
    await mkdir(workDir)
    const template = await templateOf(ground, row)
    for (const secret of template.secrets) mask.add(secret)
    job = new StageJob({
      recorder,
      mask,
      holdings: new LeaseHoldings(lease, lease.task.leftovers),
      template,
      options: takeOptions(schemaOf(ground, row), parameters),
      common,
      workDir,
      cacheDir: ground.cacheDirectory,
      attempt: recorder.row.attempts,
      reach: reachOf(ground, row),
      context: { ...ground.context, signal },
    })
    const made = await stopInTime(makeStage(ground, job, recorder.row, secrets), signal)
    await rm(workDir, { recursive: true, force: true })
    isCleared = true
    await finish(ground, { lease, recorder, job, made })
  } catch (error) {
    if (job && !job.kept.has('timeline')) recorder.keepDocument('timeline', job.timeline)
    throw maskedError(error, mask)
  } finally {
    await recorder.close()
    if (!isCleared) await rm(workDir, { recursive: true, force: true })
  }
}

/** A recorder for a lease, heard by those who follow. */
export function openRecorder(ground: Ground, row: ImageRow, lease: Lease, mask: Mask): Recorder {
  const { database, records, news, callbacks, context } = ground
  return new Recorder(row, {
    database,
    records,
    lease,
    mask,
    now: context.now,
    onStatus: (image) => callbacks.tell(image),
    onWritten: () => news.tell(row.id),
    onError: (error) => {
      if (!isFailure(error, 'LEASE_LOST'))
        context.log.warn('factory.not-recorded', { imageId: row.id, error: String(error) })
    },
  })
}

function begin(recorder: Recorder, { task }: Lease, now: Date): void {
  const { attempts, started_at: startedAt } = recorder.row
  recorder.set({
    status: 'BUILDING',
    activity: 'beginning',
    error: null,
    percent: 0,
    attempts: Math.max(attempts + 1, task.attempts), // one that died at once left no trace in the record
    started_at: startedAt ?? now.getTime(),
  })
}

/** What an earlier attempt left: its things elsewhere, and its body. */
async function clearEarlier(
  ground: Ground,
  scene: { row: ImageRow; secrets: Secrets; lease: Lease; recorder: Recorder; signal: AbortSignal },
): Promise<void> {
  const { row, secrets, lease, recorder, signal } = scene
  if (recorder.row.attempts === 1) return
  recorder.log.event(`begun anew: attempt ${recorder.row.attempts}`)
  await ground.clearWorkDirs()
  await ground.bodies.remove(row.id, signal)
  if (lease.task.leftovers.length === 0 || takesUp(ground, row)) return
  const things = lease.task.leftovers
  const why = 'again'
  const work = { row, secrets, things, signal, log: recorder.log, why } as const
  const { left } = await clearThings(ground, work)
  await lease.note(left)
}

/** Whether the builder goes on with what an earlier attempt holds. */
function takesUp({ list }: Ground, { type, builder }: ImageRow): boolean {
  return type === 'base' && list.builder(builder ?? '').takesUp === true
}

async function finish(
  ground: Ground,
  { lease, recorder, job, made }: { lease: Lease; recorder: Recorder; job: StageJob; made: Made },
): Promise<void> {
  const { id } = recorder.row
  for (const [kind, content] of Object.entries(made.documents ?? {}))
    recorder.keepDocument(kind as keyof NonNullable<Made['documents']>, content)
  if (made.properties) recorder.setProperties(made.properties)
  if (!job.kept.has('timeline')) recorder.keepDocument('timeline', job.timeline)
  recorder.log.event('complete')
  let begun: Awaited<ReturnType<typeof beginChildren>> | undefined
  const change = {
    ...made.change,
    status: 'COMPLETE' as const,
    activity: 'complete',
    percent: 100,
    ended_at: ground.context.now().getTime(),
  }
  await recorder.end(change, async (tx) => {
    begun = await beginChildren(ground, tx, id)
    await ground.secrets.forget(tx, id)
    await lease.finish({ status: 'success', message: '', result: { factoryImageId: id } }, tx)
  })
  if (!begun) return
  announce(ground, begun.rows)
  await offerAll(ground, begun.tasks)
}

function schemaOf({ list }: Ground, { type, builder, target }: ImageRow) {
  return type === 'base' ? list.builder(builder ?? '').options : list.target(target ?? '').options
}

function tooLong({ type, id }: ImageRow, ms: number): Failure {
  return new Failure('PHASE_TIMEOUT', `${type} image ${id}: not done after ${ms / 1000} s`, {
    details: { timeoutMs: ms },
    fix: 'Set the parameter timeout: SECONDS, or see the log for what it waited for.',
  })
}
