import { Failure } from './failure.ts'

/** What is being made, or INTERRUPTED as soon as the signal is aborted; the work itself goes on. */
export async function inTime<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const interrupted = Promise.withResolvers<never>()
  const stop = () => interrupted.reject(new Failure('INTERRUPTED', 'nobody waits any more'))
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([work, interrupted.promise])
  } finally {
    signal.removeEventListener('abort', stop)
    work.catch(() => {}) // if it fails now, that is for others to hear
  }
}
