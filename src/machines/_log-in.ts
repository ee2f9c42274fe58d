import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { hasCloudInit } from './_boot-checks.ts'
import type { BootWatch } from './_boot-watch.ts'
import { type GuestAnswers, guestScript, parseGuestAnswers } from './_guest-answers.ts'
import { type Login, runInGuest } from './_guest-login.ts'
import type { GuestConnection } from './boot-report.ts'

/** How long things take, in milliseconds. */
export interface Pace {
  /** For the whole boot. */
  bootMs: number
  /** After this a guest that is silent on the serial console is tried by SSH. */
  quietMs: number
  /** For one attempt to log in. */
  attemptMs: number
  /** What a guest that is up is given for its last services. */
  patienceMs: number
}

/** A boot test that is under way. */
export interface Underway {
  watch: BootWatch
  connection: GuestConnection
  pace: Pace
  context: Context
}

const BETWEEN_ATTEMPTS_MS = 3000
/** Time that is left for the answers when cloud-init takes all the rest. */
const ANSWER_MS = 30_000

/**
 * Logs in as soon as the guest is up; tries again while it may yet be coming up. Undefined: the
 * guest did not come so far. Fails with INTERRUPTED.
 */
export async function logIn(test: Underway): Promise<Login | undefined> {
  const { watch, connection, pace, context } = test
  await untilUp(test)
  let login: Login | undefined
  let settledAtMs: number | undefined
  while (!watch.hopeless && watch.elapsedMs < pace.bootMs) {
    login = await runInGuest(connection, 'true', pace.attemptMs, context.signal)
    if (login.outcome === 'logged-in') {
      watch.note('logged-in', `${connection.user} by SSH`)
      return login
    }
    // A guest that has done all it does on its first boot will not take a key later; its sshd may
    // yet come up.
    if (isSettled(watch)) settledAtMs ??= watch.elapsedMs
    const patienceMs = login.outcome === 'refused' ? 0 : pace.patienceMs
    if (settledAtMs !== undefined && watch.elapsedMs >= settledAtMs + patienceMs) break
    await watch.until(() => false, watch.elapsedMs + BETWEEN_ATTEMPTS_MS, context.signal)
  }
  stopIfAborted(context)
  return login
}

/** Until something answers, or should by now. */
async function untilUp({ watch, pace, context }: Underway): Promise<void> {
  const { timeline } = watch
  const up = () => timeline.has('ssh') || timeline.has('login') || timeline.has('cloud-init-final')
  await watch.until(up, Math.min(pace.quietMs, pace.bootMs), context.signal)
  if (timeline.has('kernel')) await watch.until(up, pace.bootMs, context.signal)
}

function isSettled({ timeline }: BootWatch): boolean {
  return timeline.has('login') && (timeline.has('cloud-init-done') || !hasCloudInit(timeline))
}

/** What the guest says of its first boot, once cloud-init has finished; undefined if it went away. */
export async function askGuest(test: Underway): Promise<GuestAnswers | undefined> {
  const { watch, connection, pace, context } = test
  const leftMs = Math.max(0, pace.bootMs - watch.elapsedMs)
  const script = guestScript(leftMs / 1000)
  const login = await runInGuest(connection, script, leftMs + ANSWER_MS, context.signal)
  return login.outcome === 'logged-in' ? parseGuestAnswers(login.stdout) : undefined
}

/** Fails with INTERRUPTED. */
export function stopIfAborted(context: Context): void {
  if (context.signal.aborted) throw new Failure('INTERRUPTED', 'the boot test was interrupted')
}
