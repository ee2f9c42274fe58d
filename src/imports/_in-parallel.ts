/**
 * Does `work` for each item, `most` at a time. The first failure is the answer: the signal then tells the others
 * to stop, and none is still at work when this ends.
 */
export async function inParallel<T>(
  items: readonly T[],
  most: number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const queue = [...items]
  let failure: { readonly error: unknown } | undefined
  const takeOver = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift())
      try {
        await work(item, stop.signal)
      } catch (error) {
        failure ??= { error }
        queue.length = 0
        stop.abort(error)
      }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, takeOver))
  if (failure !== undefined) throw failure.error
}
