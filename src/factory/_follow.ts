/** What happens to an image, as it happens: in this process at once, on other servers as looks at the database find it. */
import { toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { FOLLOWED, readLog } from './_log-table.ts'
import { isFinal } from './factory-image.ts'
import type { FactoryEvent } from './factory.ts'

/** Between two looks, at least; and for each who follows, so that a thousand do not keep the database busy. */
const LOOK_MS = 250
const LOOK_EACH_MS = 2

/** Entries of the log come after the change that they came with. Fails with BUILD_NOT_FOUND. */
export async function* followImage(
  { database, records, news }: Ground,
  id: string,
  signal: AbortSignal,
  after?: number,
): AsyncGenerator<FactoryEvent> {
  let row = await records.demand(id)
  let seen = after ?? row.log_end
  let told = 0
  let wake: (() => void) | undefined
  let isNews = false
  const hear = () => {
    isNews = true
    wake?.()
  }
  const stop = news.listen(id, hear)
  signal.addEventListener('abort', hear, { once: true })
  try {
    for (;;) {
      if (row.revision !== told) yield { kind: 'image', image: toImage(row) }
      told = row.revision
      while (seen < row.log_end && !signal.aborted) {
        // Of a log that is short as a whole, what is known of it is read at once.
        const isShort = row.log_size <= FOLLOWED.bytes
        const limit = Math.min(FOLLOWED.limit, row.log_end - seen)
        const bytes = isShort ? Infinity : FOLLOWED.bytes
        const entries = await readLog(database, id, seen, limit, bytes)
        if (entries.length === 0) break
        for (const entry of entries) yield { kind: 'log', entry }
        seen = entries.at(-1)?.sequence ?? seen
      }
      if (isFinal(row.status) || signal.aborted) return
      if (!isNews) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        const look = setTimeout(resolve, Math.max(LOOK_MS, LOOK_EACH_MS * news.count))
        await promise
        clearTimeout(look)
      }
      isNews = false
      const now = await records.find(id)
      if (now === undefined) {
        const image = { ...toImage(row), status: 'DELETED' as const, activity: 'deleted' }
        yield { kind: 'image', image }
        return
      }
      row = now
    }
  } finally {
    stop()
    signal.removeEventListener('abort', hear)
  }
}
