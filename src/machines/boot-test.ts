import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Context } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'
import { GiB } from '../base/units.ts'
import { openImage, WORK_FORMATS, type WorkFormat } from '../formats/open-image.ts'
import type { OpenUplink } from '../remotes/uplink.ts'
import { checkBoot, type Findings, isUp } from './_boot-checks.ts'
import { BootWatch } from './_boot-watch.ts'
import { makeOneTimeKey } from './_guest-login.ts'
import { type Pace, stopIfAborted, type Underway, visitGuest } from './_log-in.ts'
import { openMachineDirectory } from './_machine-directory.ts'
import {
  type Accelerator,
  chooseAccelerator,
  emulation,
  rememberAccelerator,
} from './accelerator.ts'
import { diagnoseBoot } from './boot-diagnosis.ts'
import type { BootReport, GuestConnection } from './boot-report.ts'
import type { TimelineListeners } from './boot-timeline.ts'
import { requireFirmware } from './firmware.ts'
import type { Machine } from './machine.ts'
import { makeSeed } from './seed.ts'
import { startMachine } from './start-machine.ts'

export interface BootTestOptions {
  /** Path of the image. It is not changed. */
  image: string
  /** Told from its content when left out. */
  format?: WorkFormat | undefined
  firmware: 'bios' | 'uefi'
  /** `auto`: KVM where a probe guest ran under it, else emulation. */
  accelerator: 'auto' | Accelerator['kind'] | Accelerator
  /** For the whole boot. Default 3 minutes under KVM, 15 when emulated. */
  timeoutMs?: number | undefined
  /** How long single things are given; what the accelerator needs when left out. */
  pace?: Partial<Omit<Pace, 'bootMs'>> | undefined
  /** Bytes. Default 1 GiB. */
  memory?: number | undefined
  /** Default 2. */
  cpus?: number | undefined
  /** The user that is made for the test. Default `ingot`. */
  sshUser?: string | undefined
  /** How the guest gets to the network. Default: it reaches nobody. */
  uplink?: OpenUplink | undefined
  /** Where the guest's screen goes, as a PNG, when the test does not pass. */
  screenshot?: string | undefined
  tempDir: string
  /** Where the answer of the accelerator's probe is kept. */
  cacheDir?: string | undefined
  /** Called once when the guest is up and logged into, before it is ended. */
  onReady?: ((connection: GuestConnection) => Promise<void>) | undefined
}

/** What a guest needs by this host's processor, and what it needs emulated. */
const PACES: Readonly<Record<Accelerator['kind'], Pace>> = {
  kvm: { bootMs: 180_000, quietMs: 30_000, attemptMs: 20_000, patienceMs: 20_000 },
  tcg: { bootMs: 900_000, quietMs: 120_000, attemptMs: 60_000, patienceMs: 90_000 },
}

/** A guest that has not begun to speak under KVM by then hangs, whatever the probe said. */
const STALL_MS = 60_000

/** A guest that gave up is heard out for so long. */
const LAST_WORDS_MS = 2000

/**
 * Boots an image on a throw-away overlay, with a NoCloud seed that makes a user with a one-time key;
 * waits for the login prompt, logs in by SSH, and asks the guest how its first boot went. A guest
 * without cloud-init is judged by its login prompt. What was found is the report: a boot that fails
 * is an answer.
 *
 * Fails as `openImage` and `startMachine` do, with TOOL_MISSING when the UEFI firmware is missing, with
 * MACHINE_FAILED when KVM was asked for and does not work here, and with what `onReady` throws.
 */
export async function runBootTest(options: BootTestOptions, context: Context): Promise<BootReport> {
  const wanted = options.accelerator
  const image = await lookAt(options)
  const accelerator =
    typeof wanted === 'object' ? wanted : await chooseAccelerator(wanted, options, context)
  const mayStall = wanted === 'auto' && accelerator.kind === 'kvm'
  const report = await bootOnce(options, image, accelerator, mayStall, context)
  if (report !== undefined) return report
  const instead = emulation('a guest hung under KVM although the probe had passed')
  context.log.warn('accelerator.stalled', { cpu: accelerator.cpu })
  await rememberAccelerator(instead, options, context)
  return await runBootTest({ ...options, accelerator: instead }, context)
}

/** The report; undefined when `mayStall` and the guest hangs as if the accelerator did not work. */
async function bootOnce(
  options: BootTestOptions,
  image: { format: WorkFormat; size: number },
  accelerator: Accelerator,
  mayStall: boolean,
  context: Context,
): Promise<BootReport | undefined> {
  const { sshUser: user = 'ingot' } = options
  const ownPace = PACES[accelerator.kind]
  const pace = { ...ownPace, ...options.pace, bootMs: options.timeoutMs ?? ownPace.bootMs }
  await using directory = await openMachineDirectory(options.tempDir)
  const { keyFile, publicKey } = await makeOneTimeKey(directory.path)
  const watch = new BootWatch(tellProgress(options, accelerator, context))
  await using machine = await startMachine(
    {
      disk: { path: options.image, format: image.format, growBy: growthOf(image.size) },
      seed: makeTestSeed(context.newId(), user, publicKey),
      firmware: options.firmware === 'bios' ? 'bios' : await requireFirmware(),
      accelerator,
      memory: options.memory ?? GiB,
      cpus: options.cpus ?? 2,
      network: options.uplink ?? 'isolated',
      tempDir: options.tempDir,
      onConsole: (chunk) => watch.print(chunk),
      onReset: () => watch.reset(),
    },
    context,
  )
  void machine.ended.then((why) => watch.end(why))
  const knownHosts = join(directory.path, 'known_hosts')
  const port = machine.sshPort ?? 0
  const { launcher } = machine
  const login = { user, keyFile, knownHosts }
  const connection: GuestConnection = { host: '127.0.0.1', port, ...login, launcher }
  const test = { watch, connection, pace, context }
  if (mayStall && (await isStalled(watch, context))) return undefined

  const visit = await visitGuest(test)
  await untilPrompt(test)
  if (visit.answers && options.onReady) await options.onReady(connection)
  if (watch.hopeless) await watch.linger(LAST_WORDS_MS, context.signal)
  stopIfAborted(context)
  const findings = { timeline: watch.timeline, imageSize: image.size, ...visit }
  const report = toReport(options, image.format, accelerator, watch, findings)
  return report.passed ? report : { ...report, ...(await photograph(machine, options, context)) }
}

async function lookAt({
  image,
  format,
}: BootTestOptions): Promise<{ format: WorkFormat; size: number }> {
  await using opened = await openImage(image, { format, among: WORK_FORMATS })
  return { format: opened.format, size: opened.disk.size }
}

/** Each stage as a step that is done at its time, and what the console prints meanwhile. */
function tellProgress(
  { image, firmware }: BootTestOptions,
  { kind, reason }: Accelerator,
  { progress, log }: Context,
): TimelineListeners {
  const how = kind === 'kvm' ? 'KVM' : `emulated: ${reason}`
  progress({
    kind: 'phase',
    name: 'boot',
    detail: `${basename(image)}, ${firmware.toUpperCase()}, ${how}`,
  })
  return {
    line: (line) => progress({ kind: 'output', line }),
    stage: ({ stage, atMs }) => {
      log.debug('boot.stage', { stage, atMs })
      progress({ kind: 'step-end', id: stage, title: stage, status: 'held', durationMs: atMs })
    },
  }
}

/** Enough that a root which grows is larger than the image was, whatever else is on the disk. */
function growthOf(imageSize: number): number {
  return Math.max(GiB, Math.ceil(imageSize / 4))
}

/**
 * A seed that adds a user and leaves the rest as the image has it: its name, its package sources.
 * What costs an emulated guest minutes and shows nothing (locales, RSA keys) is left out.
 */
function makeTestSeed(instanceId: string, user: string, publicKey: string): Uint8Array {
  const own = {
    name: user,
    gecos: 'made for a boot test',
    shell: '/bin/sh',
    sudo: 'ALL=(ALL) NOPASSWD:ALL',
    ssh_authorized_keys: [publicKey],
  }
  return makeSeed({
    instanceId,
    userData: {
      users: ['default', own],
      ssh_authorized_keys: [publicKey], // for the image's default user
      ssh_genkeytypes: ['ed25519'],
      preserve_hostname: true,
      apt: { preserve_sources_list: true },
      locale: false,
    },
  })
}

async function isStalled(watch: BootWatch, context: Context): Promise<boolean> {
  const speaks = () => watch.timeline.has('kernel') || watch.timeline.has('login')
  const spoke = await watch.until(speaks, STALL_MS, context.signal)
  stopIfAborted(context)
  return !spoke && !watch.hopeless
}

/** The prompt may come a little after sshd. */
async function untilPrompt({ watch, pace, context }: Underway): Promise<void> {
  const untilMs = Math.min(pace.bootMs, watch.elapsedMs + pace.patienceMs)
  if (watch.timeline.has('kernel'))
    await watch.until(() => watch.timeline.has('login'), untilMs, context.signal)
  stopIfAborted(context)
}

function toReport(
  options: BootTestOptions,
  format: WorkFormat,
  accelerator: Accelerator,
  watch: BootWatch,
  findings: Findings,
): BootReport {
  const { timeline, ended, resets } = watch
  const checks = checkBoot(findings)
  const passed = isUp(checks) && !watch.hopeless
  const { image, firmware } = options
  const { login, answers } = findings
  const ssh = login === undefined || login.outcome === 'logged-in' ? undefined : login
  const errors = typeof answers?.cloudInit === 'object' ? answers.cloudInit.errors : []
  const report = { image, format, firmware, accelerator, passed, checks }
  const course = { timeline: timeline.stages, durationMs: watch.elapsedMs }
  if (passed) return { ...report, ...course }
  const diagnosis = diagnoseBoot(timeline, { ended, resets, ssh, cloudInitErrors: errors })
  return { ...report, ...course, diagnosis, console: timeline.tail() }
}

/** Writes the guest's screen where the options say. Never fails: the boot's own fault matters more. */
async function photograph(
  machine: Machine,
  { screenshot }: BootTestOptions,
  context: Context,
): Promise<Pick<BootReport, 'screenshot'>> {
  if (screenshot === undefined) return {}
  try {
    await writeFile(screenshot, await machine.screenshot())
    return { screenshot }
  } catch (error) {
    context.log.warn('boot.no-screenshot', { screenshot, error: messageOf(error) })
    return {}
  }
}
