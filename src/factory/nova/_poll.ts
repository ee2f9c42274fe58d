import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../../base/failure.ts'

/** Looks every `everyMs` until there is an answer. Fails with INTERRUPTED, and with what looking fails with. */
export async function pollUntil<Answer>(
  everyMs: number,
  signal: AbortSignal,
  look: () => Promise<Answer | undefined>,
  firstMs = 0,
): Promise<Answer> {
  for (let afterMs = firstMs; ; afterMs = everyMs) {
    if (afterMs > 0) await wait(afterMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) throw new Failure('INTERRUPTED', 'waiting for the cloud was interrupted')
    const answer = await look()
    if (answer !== undefined) return answer
  }
}
