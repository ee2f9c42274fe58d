import { join } from 'node:path'
import { type Context, makeContext, type ProgressEvent } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import { cleanRunningGuest, powerOffGuest } from '../guests/clean-running.ts'
import type { InstalledPackage } from '../guests/package-manager.ts'
import { runRecipe } from '../recipes/run-recipe.ts'
import type { Report } from '../recipes/report.ts'
import type { Facts } from '../remotes/facts.ts'
import type { Remote } from '../remotes/remote.ts'
import {
  fingerprintOf,
  type GuestLogin,
  logInToGuest,
  pinnedKeys,
  takeOutKey,
  untrusted,
} from './_guest-login.ts'
import { packagesOf } from './body/read-packages.ts'
import { demandOk } from './demand-ok.ts'
import type { Job, PhaseScene } from './os-builder.ts'

export interface CustomiseOrder extends GuestLogin {
  /** Its share of the job's percentage. */
  readonly from: number
  readonly to: number
  /** Values of the recipe's arguments, by name. */
  readonly values?: ReadonlyMap<string, string> | undefined
  /**
   * The host keys that the guest tells by another way (its console), each as `ssh-ed25519 AAAA…` or
   * `ssh-ed25519 SHA256:…`; of the kind that it showed none: it told nothing. Asked when
   * the guest has set itself up, before anything is done in it. Left out: the first key that it shows is believed.
   */
  readonly readHostKeys?: ((signal: AbortSignal) => Promise<readonly string[]>) | undefined
  /** The public key that opens the guest to us; it is taken out at the end. */
  readonly publicKey: string
  /** Whether it is told which packages are in the guest. Default yes. */
  readonly packages?: boolean | undefined
  /** Whether what machines must not share is taken out; the recipe's `clean` says what stays. Default yes. */
  readonly clean?: boolean | undefined
  /** Whether the guest is shut down at the end, from within. Default no. */
  readonly powerOff?: boolean | undefined
  /** Until it answers SSH; until it has set itself up; for the recipe; for one command of it. */
  readonly loginTimeoutMs?: number | undefined
  readonly setUpTimeoutMs?: number | undefined
  readonly recipeTimeoutMs?: number | undefined
  readonly commandTimeoutMs?: number | undefined
}

export interface Customised {
  readonly report: Report
  readonly facts: Facts
  /** Undefined: not asked for, or Ingot does not know the guest's package manager. */
  readonly packages: readonly InstalledPackage[] | undefined
  /** What the template's command for ICICLE printed, a line for each package; undefined: it has none. */
  readonly extraLines: readonly string[] | undefined
}

const DEFAULT_LOGIN_MS = 20 * 60_000
const DEFAULT_SET_UP_MS = 15 * 60_000
const EXTRA_TIMEOUT_MS = 15 * 60_000
const MAX_EXTRA_LINES = 100_000

/**
 * Carries out the job's template in a guest that runs: waits until it answers SSH and has set itself up, makes sure that it is
 * the right one, runs the recipe, reads what is installed, takes out what machines must not share, our own key too. Then
 * nobody can log in any more, and the guest is to be stopped.
 *
 * Fails with PHASE_TIMEOUT, REMOTE_UNTRUSTED (another host key), REMOTE_DENIED, NEEDS_ROOT, REMOTE_LOST, STEP_FAILED (the report is
 * kept beside the job's image), ARGUMENT_INVALID, NO_OPERATING_SYSTEM, TOOL_MISSING, INTERRUPTED.
 */
export async function customiseOverSsh(job: Job, order: CustomiseOrder): Promise<Customised> {
  const { from, to, loginTimeoutMs = DEFAULT_LOGIN_MS, setUpTimeoutMs = DEFAULT_SET_UP_MS } = order
  const at = (share: number) => from + (to - from) * share
  const pinsFile = order.pinsFile ?? join(job.workDir, 'known_hosts')
  const login = { ...order, pinsFile }
  // The connection outlives the phase that made it.
  const open = new AbortController()
  const signal = AbortSignal.any([job.context.signal, open.signal])
  const context = { ...job.context, signal }
  await using opened = new AsyncDisposableStack()
  opened.defer(() => open.abort())
  const remote = await job.phase(
    {
      name: 'waiting for the guest to answer SSH',
      from,
      to: at(0.2),
      timeoutMs: loginTimeoutMs,
    },
    async (scene) => {
      const reached = await logInToGuest(login, job.log, scene, context)
      return opened.use(reached)
    },
  )
  await job.phase(
    {
      name: 'waiting for the guest to set itself up',
      from: at(0.2),
      to: at(0.3),
      timeoutMs: setUpTimeoutMs,
    },
    async (scene) => {
      await waitForSetUp(remote, scene)
      await checkHostKey(pinsFile, order, job, scene)
    },
  )
  const report = await job.phase(
    {
      name: 'carrying out the template',
      from: at(0.3),
      to: at(0.85),
      timeoutMs: order.recipeTimeoutMs,
    },
    async (scene) => await runTemplate(job, remote, order, toldTo(job, scene, context)),
  )
  const listed = await job.phase(
    { name: 'reading what is installed', from: at(0.85), to: at(0.92) },
    async (scene) => await during(scene, readGuest(job, remote, order)),
  )
  await job.phase({ name: 'cleaning the guest', from: at(0.92), to }, async (scene) => {
    await during(scene, cleanUp(job, remote, order, context))
  })
  return { report, facts: report.facts, ...listed }
}

/** cloud-init works on for a while after it has let us in; what it does must not meet what we do. */
async function waitForSetUp(remote: Remote, scene: PhaseScene): Promise<void> {
  const script = 'command -v cloud-init >/dev/null || exit 0; cloud-init status --wait >/dev/null'
  // That it fails is told by what it left undone; half of its modules may not matter.
  await during(scene, remote.run({ argv: ['sh', '-c', script] }))
}

async function checkHostKey(
  pinsFile: string,
  order: CustomiseOrder,
  { log }: Job,
  { signal }: PhaseScene,
): Promise<void> {
  const pinned = await pinnedKeys(pinsFile)
  const types = pinned.map((key) => key.split(' ')[0])
  const all = (await order.readHostKeys?.(signal)) ?? []
  const told = all.filter((key) => types.includes(key.split(' ')[0]))
  if (told.length === 0)
    return log.event(`believing the first host key that the guest showed: ${pinned.join(', ')}`)
  if (!pinned.some((key) => told.includes(key) || told.includes(fingerprintOf(key))))
    throw untrusted(order)
  log.event('the guest’s host key is the one that its console tells')
}

async function runTemplate(
  job: Job,
  remote: Remote,
  { values = new Map(), commandTimeoutMs }: CustomiseOrder,
  context: Context,
): Promise<Report> {
  const { template, cacheDir, reach } = job
  const limit = commandTimeoutMs === undefined ? {} : { commandTimeoutMs }
  const options = { mode: 'reconcile', values, cacheDir, webRules: reach.web, ...limit } as const
  const report = await runRecipe(template.recipe, remote, options, context)
  await job.keepDocument('report', `${JSON.stringify(report, undefined, 2)}\n`)
  demandOk(report)
  return report
}

/** What happens in the guest, as the job's log and percentage tell it. */
function toldTo(job: Job, scene: PhaseScene, context: Context): Context {
  const progress = (event: ProgressEvent) => {
    if (event.kind === 'output') job.log.output(`${event.line}\n`)
    if (event.kind === 'step-end' && event.status !== 'held')
      job.log.event(`${event.title}: ${event.status}`)
    if (event.kind !== 'step') return
    const { index = 1, total = 1, title } = event
    scene.tell((index - 1) / total, title)
  }
  return makeContext({ ...context, signal: scene.signal, progress })
}

async function readGuest(
  { template, log }: Job,
  remote: Remote,
  order: CustomiseOrder,
): Promise<Pick<Customised, 'packages' | 'extraLines'>> {
  if (order.packages === false) return { packages: undefined, extraLines: undefined }
  const packages = await packagesOf(remote)
  if (packages === undefined) log.event('no package manager that Ingot knows is in the guest')
  if (template.icicleCommand === null) return { packages, extraLines: undefined }
  const argv = ['sh', '-c', template.icicleCommand]
  const output = await remote.runOk({ argv, timeoutMs: EXTRA_TIMEOUT_MS })
  const extraLines = output.replace(/\n$/, '').split('\n', MAX_EXTRA_LINES)
  return { packages, extraLines }
}

async function cleanUp(
  { template: { recipe }, log }: Job,
  remote: Remote,
  { clean, publicKey, powerOff = false }: CustomiseOrder,
  context: Context,
): Promise<void> {
  await takeOutKey(remote, publicKey)
  if (clean === false || recipe.clean?.enabled === false) {
    if (powerOff) await powerOffGuest(remote)
    return
  }
  const options = { ...recipe.clean, powerOff }
  const { tasks, left } = await cleanRunningGuest(remote, options, context)
  const count = tasks.reduce((sum, { paths }) => sum + paths.length, 0)
  log.event(`${count} things were taken out that machines must not share`)
  for (const { path, what } of left) log.event(`left in the image: ${path}: ${what}`)
}

/** What is done on the connection ends with the job; that the phase's time is over is heard here. */
async function during<Value>({ signal }: PhaseScene, work: Promise<Value>): Promise<Value> {
  const over = Promise.withResolvers<never>()
  const stop = () => over.reject(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([work, over.promise])
  } catch (error) {
    if (isFailure(error, 'INTERRUPTED') && isFailure(signal.reason)) throw signal.reason
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    work.catch(() => {}) // if it fails now, that is for others to hear
  }
}
