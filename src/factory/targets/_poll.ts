import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../../base/failure.ts'

/**
 * Asks again and again, `seconds` apart, until there is an answer. The limit is that of the phase, whose signal ends it.
 * Fails with INTERRUPTED and with what asking fails with.
 */
export async function askUntil<Answer>(
  seconds: number,
  signal: AbortSignal,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer> {
  for (;;) {
    if (signal.aborted) throw new Failure('INTERRUPTED', 'waiting was interrupted')
    const answer = await ask()
    if (answer !== undefined) return answer
    await wait(seconds * 1000, undefined, { signal }).catch(() => {}) // the loop looks at the signal
  }
}
