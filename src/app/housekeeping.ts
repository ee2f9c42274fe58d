import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'

/** Something that is done again and again while a server runs. */
export interface Chore {
  /** For the log. */
  readonly name: string
  readonly everyMs: number
  /** One round; what it throws is logged, and it is tried again in its time. */
  run(signal: AbortSignal): Promise<unknown>
}

/** Does chores until it is disposed of, each after its own pause; closing it waits for what runs. */
export function openHousekeeping(
  chores: readonly Chore[],
  { log }: Pick<Context, 'log'>,
): AsyncDisposable {
  const closed = new AbortController()
  const { signal } = closed
  const keep = async ({ name, everyMs, run }: Chore) => {
    for (;;) {
      await wait(everyMs, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      await run(signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn('chore.failed', { name, error: messageOf(error) })
      })
    }
  }
  const kept = chores.map(keep)
  return {
    [Symbol.asyncDispose]: async () => {
      closed.abort()
      await Promise.all(kept)
    },
  }
}
