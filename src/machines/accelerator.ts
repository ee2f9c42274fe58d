/**
 * Which accelerator works here. A device file is no proof: on a host that is itself a virtual
 * machine, /dev/kvm may open and run a boot sector, and yet no kernel. So a guest is asked: a small
 * firmware of ours that does what kernels do. See docs/decisions/003-kvm-is-probed.md.
 */
import { constants } from 'node:fs'
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { arch, cpus } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure, systemCode } from '../base/failure.ts'
import { runProbe } from './_run-probe.ts'
import { checkQemu, type Qemu } from './qemu.ts'

/** How a machine's processor is made. */
export interface Accelerator {
  /** `kvm`: by this host's processor. `tcg`: emulated, ten to thirty times slower. */
  readonly kind: 'kvm' | 'tcg'
  /** For QEMU's `-cpu`. */
  readonly cpu: string
  /** Why this one, in one line for people. */
  readonly reason: string
}

export interface ProbeOptions {
  /** Where the answer is kept; asked anew each time when left out. */
  cacheDir?: string | undefined
  /** After this a silent guest is given up. Default 4 s; one that works needs a fraction of one. */
  timeoutMs?: number | undefined
  /** Default `/dev/kvm`. */
  device?: string | undefined
}

/**
 * Processors to try under KVM, best first. Without the capabilities MSR, since a host that is a
 * guest itself may offer it and then refuse to have it set.
 */
const KVM_CPUS = ['host', 'host,-arch-capabilities'] as const

/**
 * The emulated processor: all that can be emulated, since guests ask for ever newer ones (x86-64-v3),
 * but no fifth level of page tables, which costs and brings nothing.
 */
const TCG_CPU = 'max,la57=off'

const HOUR_MS = 3_600_000

/** The accelerator that always works. */
export function emulation(reason: string): Accelerator {
  return { kind: 'tcg', cpu: TCG_CPU, reason }
}

/**
 * The fastest accelerator that ran a guest here. The answer holds until the next boot of this host
 * or another QEMU, for a day if it is KVM and for an hour if it is not.
 * Fails with TOOL_MISSING, INTERRUPTED.
 */
export async function probeAccelerator(
  options: ProbeOptions,
  context: Context,
): Promise<Accelerator> {
  const device = options.device ?? '/dev/kvm'
  if (arch() !== 'x64') return emulation(`the guest is x86_64 and this host is ${arch()}`)
  const closed = await access(device, constants.R_OK | constants.W_OK).then(
    () => undefined,
    systemCode,
  )
  if (closed !== undefined) return emulation(whyClosed(device, closed))
  const qemu = await checkQemu()
  const key = await hostKey(qemu)
  const kept = await readAnswer(options.cacheDir, key, context.now())
  if (kept) return kept
  const answer = await askGuests(qemu, options.timeoutMs ?? 4000, context)
  context.log.info('accelerator.probed', { ...answer })
  await rememberAccelerator(answer, options, context)
  return answer
}

/**
 * The accelerator that was asked for, or for `auto` the fastest one that works.
 * Fails with MACHINE_FAILED when KVM was asked for and does not work here, and as `probeAccelerator`.
 */
export async function chooseAccelerator(
  wanted: 'auto' | Accelerator['kind'],
  options: ProbeOptions,
  context: Context,
): Promise<Accelerator> {
  if (wanted === 'tcg') return emulation('emulation was asked for')
  const found = await probeAccelerator(options, context)
  if (wanted === 'kvm' && found.kind !== 'kvm')
    throw new Failure('MACHINE_FAILED', `KVM was asked for: ${found.reason}`)
  return found
}

/** Keeps an answer that was found another way, as when a real guest hung where the probe passed. */
export async function rememberAccelerator(
  answer: Accelerator,
  options: Pick<ProbeOptions, 'cacheDir'>,
  context: Context,
): Promise<void> {
  if (options.cacheDir === undefined) return
  const path = answerPath(options.cacheDir)
  const fresh = `${path}.${context.newId()}`
  try {
    await mkdir(options.cacheDir, { recursive: true })
    const key = await hostKey(await checkQemu())
    await writeFile(fresh, JSON.stringify({ key, at: context.now().toISOString(), answer }))
    await rename(fresh, path)
  } catch (error) {
    // A cache that cannot be written costs the next run a second.
    context.log.debug('accelerator.not-kept', { path, code: systemCode(error) })
    await rm(fresh, { force: true }).catch(() => {})
  }
}

function whyClosed(device: string, code: string): string {
  if (code === 'ENOENT') return `there is no ${device}`
  const help = code === 'EACCES' ? ' (is this user in the group kvm?)' : ''
  return `${device} cannot be opened: ${code}${help}`
}

async function askGuests(qemu: Qemu, timeoutMs: number, context: Context): Promise<Accelerator> {
  let why = ''
  for (const cpu of KVM_CPUS) {
    const { works, reason, durationMs } = await runProbe(qemu, 'kvm', cpu, timeoutMs, context)
    context.log.debug('accelerator.tried', { cpu, works, reason, durationMs })
    if (works) return { kind: 'kvm', cpu, reason: `KVM works: ${reason}` }
    why = reason
  }
  return emulation(`KVM opens here but runs no guests: ${why}`)
}

/** What an answer depends on. */
async function hostKey(qemu: Qemu): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return [boot.trim(), cpus()[0]?.model ?? '', qemu.program, qemu.version].join('|')
}

function answerPath(cacheDir: string): string {
  return join(cacheDir, 'accelerator.json')
}

/** The kept answer, if it is about this host as it is now and not too old. */
async function readAnswer(
  cacheDir: string | undefined,
  key: string,
  now: Date,
): Promise<Accelerator | undefined> {
  if (cacheDir === undefined) return undefined
  try {
    const kept: unknown = JSON.parse(await readFile(answerPath(cacheDir), 'utf8'))
    if (typeof kept !== 'object' || kept === null || !('answer' in kept)) return undefined
    const { key: about, at, answer } = kept as { key?: unknown; at?: unknown; answer: unknown }
    if (about !== key || !isAccelerator(answer)) return undefined
    const age = now.getTime() - Date.parse(String(at))
    return age >= 0 && age < (answer.kind === 'kvm' ? 24 * HOUR_MS : HOUR_MS) ? answer : undefined
  } catch {
    return undefined
  }
}

function isAccelerator(value: unknown): value is Accelerator {
  if (typeof value !== 'object' || value === null) return false
  const { kind, cpu, reason } = value as Record<string, unknown>
  return (kind === 'kvm' || kind === 'tcg') && typeof cpu === 'string' && typeof reason === 'string'
}
