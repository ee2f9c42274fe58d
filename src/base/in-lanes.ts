/**
 * Does the work for each item, so many at a time. After the first that fails no other is begun, and when it throws,
 * nothing is under way any more.
 */
export async function inLanes<Item>(
  items: Iterable<Item>,
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const over = new AbortController()
  const lane = async () => {
    try {
      for (let next = rest.next(); !over.signal.aborted && !next.done; next = rest.next())
        await work(next.value)
    } catch (error) {
      over.abort()
      throw error
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane))
  for (const one of ended) if (one.status === 'rejected') throw one.reason
}
