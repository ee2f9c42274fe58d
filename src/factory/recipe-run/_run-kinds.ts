/** The kinds of work: a run as a task of the ledger. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context, ProgressEvent } from '../../base/context.ts'
import { isFailure } from '../../base/failure.ts'
import { removeLeftovers, workingPath } from '../../base/leftovers.ts'
import { MiB } from '../../base/units.ts'
import type { Report } from '../../recipes/report.ts'
import { outcomeOf } from '../../tasks/outcome.ts'
import type { Lease, Task, TaskKind } from '../../tasks/task.ts'
import { Mask } from '../engine/_mask.ts'
import { maskedError } from '../engine/_masked-error.ts'
import type { News } from '../engine/_news.ts'
import { RowWriter } from '../engine/_row-writer.ts'
import { removeBody } from '../body/store-body.ts'
import type { RecipeRunKind } from '../recipe-runs.ts'
import type { Template } from '../template.ts'
import { carryOut } from './_carry-out.ts'
import type { RecipeRunsParts } from './_run-parts.ts'
import type { RunChange, RunRow, RunTable } from './_run-table.ts'
import { type KeptOrder, templateIn, unsealOrder } from './_sealed-order.ts'

export interface RunGround extends RecipeRunsParts {
  readonly table: RunTable
  readonly news: News
}

const CONCURRENCY: Readonly<Record<RecipeRunKind, number>> = { pack: 1, validate: 2, provision: 4 }
const ATTEMPTS = 3
/** Characters of reports; of larger ones the output of commands is dropped, then the steps. */
const MAX_REPORTS = 2 * MiB
const MAX_MESSAGE = 2000
const NOTHING: RunChange = {}

export function typeOf(kind: RecipeRunKind): string {
  return `recipe_${kind}`
}

export function runKinds(ground: RunGround): TaskKind[] {
  return (['pack', 'validate', 'provision'] as const).map((kind) => ({
    type: typeOf(kind),
    concurrency: ground.settings.concurrency?.[kind] ?? CONCURRENCY[kind],
    resumes: true,
    attempts: ATTEMPTS,
    run: async (lease) => await run(ground, lease),
    undo: async (task, reason, lease) => await undo(ground, task, reason, lease),
  }))
}

async function run(ground: RunGround, lease: Lease): Promise<void> {
  const { table, context, secretKey, parseTemplate } = ground
  const row = await table.demand(lease.task.id)
  if (row.sealed === null) throw new Error(`run ${row.id} has ended, and its task has not`)
  const order = unsealOrder(secretKey, row.id, row.sealed)
  const template = await parseTemplate(templateIn(order))
  const mask = maskOf(order, template)
  const recorder = openRecorder(ground, row, lease, mask)
  const workDir = await makeWorkDir(ground, row.id)
  try {
    if (row.status === 'processing') recorder.log.event('begun anew')
    recorder.add({ status: 'processing', message: `${row.kind} is under way` })
    const reports: Report[] = []
    const onReport = (report: Report) => {
      reports.push(report)
      recorder.add({ reports: toText(reports) })
    }
    const work = { parts: ground, row, order, template, workDir, onReport }
    const done = await carryOut({
      ...work,
      context: {
        ...context,
        signal: lease.signal,
        progress: tellingTo(recorder, JSON.parse(row.hosts).length),
      },
    })
    await rm(workDir, { recursive: true, force: true }) // a key may be in it: gone before it is told that all is done
    await finish({ row, reports: done, recorder, lease, now: context.now() })
  } catch (error) {
    throw maskedError(error, mask)
  } finally {
    await recorder.close()
    await rm(workDir, { recursive: true, force: true })
  }
}

async function finish({
  row: { kind },
  reports,
  recorder,
  lease,
  now,
}: {
  readonly row: RunRow
  readonly reports: readonly Report[]
  readonly recorder: RowWriter<RunChange>
  readonly lease: Lease
  readonly now: Date
}): Promise<void> {
  const bad = reports.filter(({ ok }) => !ok).length
  const isFailed = kind === 'provision' && bad > 0
  const status = isFailed ? 'failure' : 'success'
  const message = describeEnd(kind, reports.length, bad)
  recorder.log.event(message)
  const end = { status, message, percent: 100, ok: bad === 0 ? 1 : 0 } as const
  const ending = { ...end, reports: toText(reports), sealed: null, ended_at: now.getTime() }
  await recorder.end(ending, async (tx) => {
    await lease.finish({ status, message }, tx)
  })
}

function describeEnd(kind: RecipeRunKind, all: number, bad: number): string {
  if (kind === 'pack') return 'packed'
  const of = all === 1 ? '' : ` of ${all} targets`
  if (bad === 0) return kind === 'provision' ? 'provisioned' : 'everything is as the recipe says'
  return kind === 'provision'
    ? `${bad}${of} could not be brought to the state of the recipe`
    : `${bad}${of} not as the recipe says`
}

/** The run has failed; of an image that was to be packed nothing is left. */
async function undo(ground: RunGround, task: Task, reason: Error, lease: Lease): Promise<void> {
  const { table, context } = ground
  const row = await table.find(task.id)
  if (row === undefined) return await lease.finish(outcomeOf(reason))
  if (row.new_image_id !== null) await removeBody(ground, row.new_image_id, lease.signal)
  const mask = maskOfRow(ground, row)
  const recorder = openRecorder(ground, row, lease, mask)
  const outcome = isFailure(reason, 'TASK_CANCELLED')
    ? { status: 'failure' as const, message: 'cancelled' }
    : outcomeOf(reason)
  const message = mask.apply(outcome.message).slice(0, MAX_MESSAGE)
  recorder.log.event(`failed: ${message}`)
  const ending = { status: 'failure' as const, message, sealed: null }
  await recorder.end({ ...ending, ended_at: context.now().getTime() }, async (tx) => {
    await lease.finish({ ...outcome, message }, tx)
  })
}

function openRecorder(
  { database, table, news, context }: RunGround,
  { id }: RunRow,
  lease: Lease,
  mask: Mask,
): RowWriter<RunChange> {
  return new RowWriter<RunChange>({
    database,
    lease,
    mask,
    now: context.now,
    nothing: NOTHING,
    merge: (earlier, later) => ({ ...earlier, ...later }),
    writeIn: async (tx, change, log) => await table.change(tx, id, mask.applyTo(change), log),
    onWritten: () => news.tell(id),
    onError: (error) => {
      if (!isFailure(error, 'LEASE_LOST'))
        context.log.warn('recipe-run.not-recorded', { runId: id, error: String(error) })
    },
  })
}

/** A directory that says which process works there, for its owner only. */
async function makeWorkDir({ workDirectory }: RunGround, runId: string): Promise<string> {
  const family = join(workDirectory, 'run')
  await removeLeftovers(family)
  const path = workingPath(family, runId.slice(0, 8))
  await mkdir(path, { mode: 0o700 })
  return path
}

function maskOf(
  { login, args }: KeptOrder,
  { recipe, secrets }: Pick<Template, 'recipe' | 'secrets'>,
) {
  const mask = new Mask()
  for (const secret of secrets) mask.add(secret)
  if (login) mask.add(login.privateKey)
  for (const { name, secret } of recipe.args)
    if (secret && args[name] !== undefined) mask.add(args[name])
  return mask
}

/** Where the recipe is not read any more: every value is masked. */
function maskOfRow({ secretKey }: RunGround, { id, sealed }: RunRow): Mask {
  const mask = new Mask()
  if (sealed === null) return mask
  try {
    const { login, args } = unsealOrder(secretKey, id, sealed)
    for (const value of [...Object.values(args), login?.privateKey ?? '']) mask.add(value)
  } catch {
    // sealed by another key: then nobody here knows the secrets, and they stand nowhere
  }
  return mask
}

/** What happens in the guests, as the run's log and percentage tell it. */
function tellingTo(recorder: RowWriter<RunChange>, hosts: number): Context['progress'] {
  const { log } = recorder
  const fractions = new Map<string, number>()
  const move = (on: string, fraction: number) => {
    fractions.set(on, Math.max(fractions.get(on) ?? 0, fraction))
    const sum = [...fractions.values()].reduce((all, one) => all + one, 0)
    recorder.add({ percent: Math.min(99, Math.floor((100 * sum) / Math.max(1, hosts))) })
  }
  return (event: ProgressEvent) => {
    const { on = '' } = event
    const where = on === '' ? '' : `${on}: `
    if (event.kind === 'output') log.output(`${where}${event.line}\n`)
    if (event.kind === 'phase')
      log.event(where + [event.name, event.detail].filter(Boolean).join(': '))
    if (event.kind === 'step-end') log.event(`${where}${event.title}: ${event.status}`)
    if (event.kind !== 'step') return
    const { index = 1, total = 1 } = event
    move(on, (index - 1) / total)
    recorder.add({ message: where + event.title })
  }
}

function toText(reports: readonly Report[]): string {
  const whole = JSON.stringify(reports)
  if (whole.length <= MAX_REPORTS) return whole
  const short = JSON.stringify(reports, (key, value: unknown) =>
    key === 'output' ? undefined : value,
  )
  if (short.length <= MAX_REPORTS) return short
  return JSON.stringify(reports.map((report) => ({ ...report, verdicts: [] })))
}
