/** Work that is told to stop, and is left behind if it does not listen. */

/** How long work that was told to stop may take to clear away what it began. */
const GRACE_MS = 60_000

/**
 * What the work gives. When `signal` is aborted it fails with the reason, as soon as the work has ended, or did not for a
 * while: whatever it does then, its job is over.
 */
export async function stopInTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController()
  const late = Promise.withResolvers<never>()
  late.promise.catch(() => {}) // heard by the race, if it is still on
  const onAbort = () => {
    const patience = setTimeout(() => late.reject(signal.reason), GRACE_MS)
    patience.unref()
    over.signal.addEventListener('abort', () => clearTimeout(patience), { once: true })
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, late.promise])
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', onAbort)
    over.abort()
    work.catch(() => {}) // what it fails with later is nobody's matter
  }
}

/** Aborts after a while, unless it is disposed of before. */
export function deadline(
  ms: number | undefined,
  reason: () => Error,
): Disposable & { signal: AbortSignal } {
  const controller = new AbortController()
  const timer =
    ms === undefined
      ? undefined
      : setTimeout(() => controller.abort(reason()), Math.min(ms, MAX_MS))
  timer?.unref()
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/** More than that no timer can wait. */
const MAX_MS = 2 ** 31 - 1
