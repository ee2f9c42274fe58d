import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { type Findings, hasCloudInit } from './_boot-checks.ts'
import type { BootWatch } from './_boot-watch.ts'
import { guestScript, parseGuestAnswers } from './_guest-answers.ts'
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
 * Logs in as soon as the guest is up, and asks it how its first boot went. No `login`: the guest did
 * not come so far; no `answers`: nobody could log in. Fails with INTERRUPTED.
 */
export async function visitGuest(test: Underway): Promise<Pick<Findings, 'login' | 'answers'>> {
  const login = await logIn(test)
  if (login?.outcome !== 'logged-in') return { login, answers: undefined }
  const { watch, connection, pace, context } = test
  watch.note('logged-in', `${connection.user} by SSH`)
  // The script waits for cloud-init.
  const leftMs = Math.max(0, pace.bootMs - watch.elapsedMs)
  const script = guestScript(leftMs / 1000)
  const said = await runInGuest(connection, script, leftMs + ANSWER_MS, context.signal)
  const answers = said.outcome === 'logged-in' ? parseGuestAnswers(said.stdout) : undefined
  return { login: said, answers }
}

/** Tries again while the guest may yet be coming up. */
async function logIn(test: Underway): Promise<Login | undefined> {
  const { watch, connection, pace, context } = test
  await untilUp(test)
  let login: Login | undefined
  let settledAtMs: number | undefined
  while (!watch.hopeless && watch.elapsedMs < pace.bootMs) {
    login = await runInGuest(connection, 'true', pace.attemptMs, context.signal)
    if (login.outcome === 'logged-in') return login
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

/** Fails with INTERRUPTED. */
export function stopIfAborted(context: Context): void {
  if (context.signal.aborted) throw new Failure('INTERRUPTED', 'the boot test was interrupted')
}
