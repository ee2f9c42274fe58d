/** The template carried out in the booted system, over SSH, as Oz does it. */
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import type { Context } from '../../base/context.ts'
import { Failure, isFailure, messageOf } from '../../base/failure.ts'
import { inTime } from '../../base/in-time.ts'
import { runTool } from '../../base/process.ts'
import type { Accelerator } from '../../machines/accelerator.ts'
import { diagnoseBoot } from '../../machines/boot-diagnosis.ts'
import { BootTimeline } from '../../machines/boot-timeline.ts'
import type { Machine, MachineOptions } from '../../machines/machine.ts'
import { makeSeed } from '../../machines/seed.ts'
import { startMachine } from '../../machines/start-machine.ts'
import { type ImageOptions, openImageRemote, viaForCommands } from '../../remotes/open-image.ts'
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

/**
 * Lets a key in as root, where the answer file was not ours. Where cloud-init is in the disk, the machine is to be booted
 * with a seed that tells it the key; else the key is written into the disk. Fails as `openImageRemote`.
 */
export async function letKeyIn(
  job: Job<InstallerOptions>,
  path: string,
  { publicKey }: GuestKey,
  accelerator: Accelerator,
  signal: AbortSignal,
): Promise<Pick<MachineOptions, 'seed'>> {
  const { options, workDir: tempDir, cacheDir } = job
  const context = { ...job.context, signal }
  const disk = { path, format: 'raw', network: false, accelerator: accelerator.kind } as const
  const place = { ...disk, tempDir, cacheDir }
  if (await readsSeeds(place, context)) {
    job.log.event('cloud-init is told the key by a seed')
    return { seed: makeKeySeed(context.newId(), publicKey) }
  }
  const via = viaForCommands(options.trusted === true)
  await using remote = await openImageRemote({ ...place, via, access: 'change' }, context)
  await remote.makeDirectory('/root/.ssh')
  await remote.setAttributes('/root/.ssh', { mode: 0o700 })
  const file = '/root/.ssh/authorized_keys'
  const before = (await remote.readText(file)) ?? ''
  await remote.writeFile(file, `${before}${publicKey}\n`, { mode: 0o600 })
  await remote.finish()
  job.log.event(`the key is written into the disk, by ${via}`)
  return {}
}

/** Whether cloud-init is there and looks for NoCloud's disks. What cannot be read by reading alone does not. */
async function readsSeeds(
  place: Omit<ImageOptions, 'via' | 'access'>,
  context: Context,
): Promise<boolean> {
  try {
    await using remote = await openImageRemote({ ...place, via: 'read', access: 'check' }, context)
    const isThere = async (file: string) => (await remote.stat(file)) !== undefined
    if (!(await isThere('/usr/bin/cloud-init'))) return false
    if (await isThere('/etc/cloud/cloud-init.disabled')) return false
    const parts = ((await remote.list('/etc/cloud/cloud.cfg.d')) ?? []).toSorted()
    const own = parts.filter((name) => name.endsWith('.cfg')).map((name) => `cloud.cfg.d/${name}`)
    let sources = 'NoCloud'
    for (const file of ['cloud.cfg', ...own]) {
      const text = (await remote.readText(`/etc/cloud/${file}`)) ?? ''
      sources = /^datasource_list:.*(?:\n[ -].*)*/m.exec(text)?.[0] ?? sources // the last one counts
    }
    return sources.includes('NoCloud')
  } catch (error) {
    if (isFailure(error, 'INTERRUPTED')) throw error
    context.log.debug('installer.not-read', { error: messageOf(error) })
    return false
  }
}

/** Nothing else of the system is changed by it: no user made, no password locked, no key made anew. */
function makeKeySeed(instanceId: string, publicKey: string): Uint8Array {
  return makeSeed({
    instanceId,
    userData: {
      users: [{ name: 'root', lock_passwd: false, ssh_authorized_keys: [publicKey] }],
      disable_root: false,
      ssh_deletekeys: false,
      ssh_genkeytypes: ['ed25519'],
      preserve_hostname: true,
      apt: { preserve_sources_list: true },
      locale: false,
    },
  })
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
      launcher: machine.launcher,
      user: 'root',
      from: order.from,
      to: order.to,
      values: new Map(Object.entries(options.arguments ?? {})),
      packages: options.generate_icicle !== false && !isReadLater(job),
      clean: options.clean,
      powerOff: true,
      loginTimeoutMs: order.limits.sshMs,
      setUpTimeoutMs: order.limits.sshMs,
    })
    await untilOff(machine, order, job)
    return { report, packages, extraLines }
  } catch (error) {
    throw await explain(error, machine, timeline, job)
  }
}

/** Whether who keeps the image reads its packages: they are asked for in no guest, and no command tells of them. */
function isReadLater({ options, template }: Job<InstallerOptions>): boolean {
  return options.offline_icicle === true && template.icicleCommand === null
}

function withSignal(job: Job<InstallerOptions>, signal: AbortSignal): Job<InstallerOptions> {
  return {
    ...job,
    image: job.image,
    context: { ...job.context, signal },
    phase: job.phase.bind(job),
  }
}

/** The guest was told to shut down. Fails with PHASE_TIMEOUT. */
async function untilOff(
  machine: Machine,
  { to, limits }: OnlineOrder,
  job: Job<InstallerOptions>,
): Promise<void> {
  const phase = { name: 'shutting the guest down', from: to, to, timeoutMs: limits.shutdownMs }
  await job.phase(phase, async ({ signal }) => {
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
