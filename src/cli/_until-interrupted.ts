import { once } from 'node:events'

/** Resolves with the first Ctrl-C, which is how people end a server: not a failure. */
export async function untilInterrupted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
