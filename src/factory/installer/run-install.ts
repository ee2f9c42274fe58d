/** An installer from power-on to power-off in a machine of this host, watched. */
import { stat } from 'node:fs/promises'
import { Failure, messageOf } from '../../base/failure.ts'
import { formatDuration, formatSize, SECTOR } from '../../base/units.ts'
import type { Machine, MachineOptions } from '../../machines/machine.ts'
import { startMachine } from '../../machines/start-machine.ts'
import type { Job } from '../os-builder.ts'
import { type Stall, Watchdog, type WatchLimits } from './watchdog.ts'

export interface InstallRun {
  readonly machine: Omit<MachineOptions, 'onConsole' | 'onRequest' | 'onReset'>
  readonly limits: WatchLimits
  /** What the guest may fetch, by path; left out: nothing. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** The guest resets the machine on the way, and goes on from its disk. */
  readonly mayReset: boolean
  /** Keys that are pressed in the first half minute, for a medium that asks whether to be booted. */
  readonly pressKeys: boolean
}

export interface InstallScene {
  readonly job: Pick<Job, 'context' | 'log' | 'keepDocument'>
  readonly signal: AbortSignal
  tell(fraction: number, activity?: string): void
}

const SAMPLE_MS = 1000
const KEY_MS = 2000
const KEYS_UNTIL_MS = 30_000

/**
 * Runs an installer to its end: the machine powers off, and its disk was written. Of one that fails, a timeline, the
 * last lines of the console and the screen are kept with the record.
 * Fails with INSTALL_FAILED (with the likely cause), INTERRUPTED, and as `startMachine`.
 */
export async function runInstall(run: InstallRun, scene: InstallScene): Promise<void> {
  const { job, signal } = scene
  const start = performance.now()
  const elapsedMs = () => Math.round(performance.now() - start)
  const watchdog = new Watchdog(run.limits, run.files.size > 0)
  await using machine = await startMachine(
    {
      ...run.machine,
      endsOnReset: !run.mayReset,
      onConsole: (chunk) => {
        job.log.console(chunk)
        watchdog.print(chunk, elapsedMs())
      },
      ...(run.files.size > 0 && {
        onRequest: (path: string) => {
          const file = run.files.get(path)
          // The path is a secret, its last part is not.
          watchdog.request(path.replace(/^.*\//, ''), file !== undefined, elapsedMs())
          return file
        },
      }),
    },
    { ...job.context, signal },
  )
  const end = await watch(run, machine, watchdog, elapsedMs, scene)
  if (signal.aborted) throw new Failure('INTERRUPTED', 'the installer was interrupted')
  const facts = { ...end, durationMs: elapsedMs(), ...watchdog.report() }
  const written = await writtenTo(run.machine.target?.path)
  if (end.stall === undefined && isOff(end.ended) && written > 0) {
    const told = `${end.ended}, ${formatSize(written)} on the disk`
    job.log.event(`installed in ${formatDuration(elapsedMs())}: ${told}`)
    return
  }
  await job.keepDocument('timeline', `${JSON.stringify(facts, undefined, 2)}\n`)
  if (end.stall !== undefined) await photograph(machine, job)
  throw toFailure(end, watchdog)
}

interface End {
  readonly ended?: string
  readonly stall?: Stall
}

/** Until the machine ends, the watchdog gives it up, or `signal`. */
async function watch(
  run: InstallRun,
  machine: Machine,
  watchdog: Watchdog,
  elapsedMs: () => number,
  { signal, tell }: InstallScene,
): Promise<End> {
  const end = Promise.withResolvers<End>()
  let isAsking = false
  const look = async () => {
    if (isAsking) return
    isAsking = true
    // A machine that ends in between is told of by `ended`.
    const activity = await machine.readActivity().catch(() => undefined)
    isAsking = false
    if (activity !== undefined) watchdog.sample(activity, elapsedMs())
    const { fraction, step } = watchdog.progress
    tell(fraction, step)
    const stall = watchdog.check(elapsedMs())
    if (stall !== undefined) end.resolve({ stall })
  }
  const press = () => {
    const keys = [{ type: 'qcode', data: 'ret' }]
    if (elapsedMs() < KEYS_UNTIL_MS) void machine.qmp.execute('send-key', { keys }).catch(() => {})
  }
  const timers = [
    setInterval(() => void look(), SAMPLE_MS),
    ...(run.pressKeys ? [setInterval(press, KEY_MS)] : []),
  ]
  const onAbort = () => end.resolve({})
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  // What was done in the last second is asked for as long as the machine can be.
  void machine.ended.then((ended) => end.resolve({ ended }))
  try {
    return await end.promise
  } finally {
    for (const timer of timers) clearInterval(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** A guest that powered off, or reset a machine that ends then. */
function isOff(ended: string | undefined): boolean {
  return /powered off|guest-reset/.test(ended ?? '')
}

/** Bytes that a disk takes, which was all hole. */
async function writtenTo(path: string | undefined): Promise<number> {
  return path === undefined ? 0 : (await stat(path)).blocks * SECTOR
}

function toFailure({ ended, stall }: End, watchdog: Watchdog): Failure {
  const told =
    stall?.told ??
    (isOff(ended)
      ? 'the installer ended without writing to the disk'
      : `the machine ended: ${ended ?? ''}`)
  const cause = stall?.cause ?? watchdog.explainEnd()
  return new Failure('INSTALL_FAILED', `${told}; likely cause: ${cause}`, {
    details: {
      reason: stall?.reason ?? 'ended',
      step: watchdog.progress.step,
      console: watchdog.report().console.slice(-20),
    },
  })
}

/** Never fails: the installer's own fault matters more. */
async function photograph(machine: Machine, job: InstallScene['job']): Promise<void> {
  try {
    await job.keepDocument('screenshot', await machine.screenshot())
  } catch (error) {
    job.log.event(`no screenshot: ${messageOf(error)}`)
  }
}
