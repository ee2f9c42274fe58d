/** The template carried out in the booted system, over SSH, as Oz does it. */
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { Failure, isFailure, messageOf } from '../../base/failure.ts'
import { inTime } from '../../base/in-time.ts'
import { runTool } from '../../base/process.ts'
import type { Accelerator } from '../../machines/accelerator.ts'
import { diagnoseBoot } from '../../machines/boot-diagnosis.ts'
import { BootTimeline } from '../../machines/boot-timeline.ts'
import type { Machine, MachineOptions } from '../../machines/machine.ts'
import { startMachine } from '../../machines/start-machine.ts'
import { openImageRemote } from '../../remotes/open-image.ts'
import { customiseOverSsh } from '../customise.ts'
import type { Job } from '../os-builder.ts'
import type { GuestRecord } from './customise-offline.ts'
import type { InstallerOptions } from './installer-options.ts'
import type { WatchLimits } from './watchdog.ts'

/** A key for one guest; it is taken out of it at the end. */
export interface GuestKey {
  readonly privateKeyFile: string
  readonly publicKey: string
}

/** Fails with TOOL_MISSING, COMMAND_FAILED. */
export async function makeGuestKey(directory: string): Promise<GuestKey> {
  const privateKeyFile = join(directory, 'guest-key')
  const kind = ['-t', 'ed25519', '-N', '', '-C', 'ingot-installer']
  await runTool(['ssh-keygen', '-q', ...kind, '-f', privateKeyFile], { timeoutMs: 20_000 })
  return {
    privateKeyFile,
    publicKey: (await readFile(`${privateKeyFile}.pub`, 'utf8')).trim(),
  }
}

/** Lets a key in as root, in a disk that does not run: where the answer file was not ours. Fails as `openImageRemote`. */
export async function injectKey(
  job: Job<InstallerOptions>,
  path: string,
  { publicKey }: GuestKey,
  accelerator: Accelerator,
  signal: AbortSignal,
): Promise<void> {
  await using remote = await openImageRemote(
    {
      path,
      format: 'raw',
      via: 'appliance',
      access: 'change',
      network: false,
      accelerator: accelerator.kind,
      tempDir: job.workDir,
      cacheDir: job.cacheDir,
    },
    { ...job.context, signal },
  )
  await remote.makeDirectory('/root/.ssh')
  await remote.setAttributes('/root/.ssh', { mode: 0o700 })
  const file = '/root/.ssh/authorized_keys'
  const before = (await remote.readText(file)) ?? ''
  await remote.writeFile(file, `${before}${publicKey}\n`, { mode: 0o600 })
  await remote.finish()
}

export interface OnlineOrder {
  readonly machine: Omit<MachineOptions, 'onConsole' | 'onReset'>
  readonly key: GuestKey
  readonly limits: WatchLimits & { readonly sshMs: number }
  readonly from: number
  readonly to: number
}

/**
 * Boots the disk, customises it over SSH and shuts it down. Of a guest that does not come up, timeline and screen are
 * kept with the record. Fails as `startMachine` and `customiseOverSsh`, with PHASE_TIMEOUT (with the likely cause).
 */
export async function customiseOnline(
  job: Job<InstallerOptions>,
  order: OnlineOrder,
): Promise<GuestRecord> {
  const { options } = job
  const start = performance.now()
  const timeline = new BootTimeline()
  const gone = new AbortController()
  const signal = AbortSignal.any([job.context.signal, gone.signal])
  await using machine = await startMachine(
    {
      ...order.machine,
      onConsole: (chunk) => {
        job.log.console(chunk)
        timeline.push(chunk, Math.round(performance.now() - start))
      },
    },
    job.context,
  )
  void machine.ended.then((why) =>
    gone.abort(new Failure('INSTALL_FAILED', `the installed system went off: ${why}`)),
  )
  try {
    const { report, packages, extraLines } = await customiseOverSsh(withSignal(job, signal), {
      ...order.key,
      host: '127.0.0.1',
      port: machine.sshPort ?? 0,
      user: 'root',
      from: order.from,
      to: order.to,
      values: new Map(Object.entries(options.arguments ?? {})),
      packages: options.generate_icicle !== false,
      clean: options.clean,
      loginTimeoutMs: order.limits.sshMs,
      setUpTimeoutMs: order.limits.sshMs,
    })
    await shutDown(machine, order, job)
    return { report, packages, extraLines }
  } catch (error) {
    throw await explain(error, machine, timeline, job)
  }
}

function withSignal(job: Job<InstallerOptions>, signal: AbortSignal): Job<InstallerOptions> {
  return {
    ...job,
    image: job.image,
    context: { ...job.context, signal },
    phase: job.phase.bind(job),
  }
}

/** Presses the power button, and waits. Fails with PHASE_TIMEOUT. */
async function shutDown(
  machine: Machine,
  { to, limits }: OnlineOrder,
  job: Job<InstallerOptions>,
): Promise<void> {
  const phase = { name: 'shutting the guest down', from: to, to, timeoutMs: limits.shutdownMs }
  await job.phase(phase, async ({ signal }) => {
    await machine.qmp.execute('system_powerdown')
    job.log.event(`shut down: ${await inTime(machine.ended, signal)}`)
  })
}

/** The same failure, with what the console tells of its cause, if the guest was not up. */
async function explain(
  error: unknown,
  machine: Machine,
  timeline: BootTimeline,
  job: Job<InstallerOptions>,
): Promise<unknown> {
  if (!isFailure(error, 'PHASE_TIMEOUT') && !isFailure(error, 'REMOTE_DENIED')) return error
  const outcome = error.code === 'REMOTE_DENIED' ? 'refused' : 'no-answer'
  const ssh = { outcome, said: error.message } as const
  const { cause, evidence, hint } = diagnoseBoot(timeline, { resets: 0, ssh })
  const facts = { cause, evidence, stages: timeline.stages, console: timeline.tail(100) }
  await job.keepDocument('timeline', `${JSON.stringify(facts, undefined, 2)}\n`)
  try {
    await job.keepDocument('screenshot', await machine.screenshot())
  } catch (missing) {
    job.log.event(`no screenshot: ${messageOf(missing)}`)
  }
  return new Failure(error.code, `${error.message}; likely cause: ${hint}`, {
    details: { ...error.details, cause },
    cause: error,
  })
}
