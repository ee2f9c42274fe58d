/** What happens to an image, as it happens, on whichever server. */
import { setTimeout as sleep } from 'node:timers/promises'
import { toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { readLog } from './_log-table.ts'
import { isFinal } from './factory-image.ts'
import type { FactoryEvent } from './factory.ts'

/** Between two looks. What happens in this process is told at once. */
const LOOK_MS = 250

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
  const stop = news.listen(id, () => {
    isNews = true
    wake?.()
  })
  try {
    for (;;) {
      if (row.revision !== told) yield { kind: 'image', image: toImage(row) }
      told = row.revision
      while (seen < row.log_end && !signal.aborted) {
        const entries = await readLog(database, id, seen)
        if (entries.length === 0) break
        for (const entry of entries) yield { kind: 'log', entry }
        seen = entries.at(-1)?.sequence ?? seen
      }
      if (isFinal(row.status) || signal.aborted) return
      if (!isNews) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        const resting = new AbortController()
        const either = AbortSignal.any([signal, resting.signal])
        await Promise.race([promise, sleep(LOOK_MS, undefined, { signal: either }).catch(() => {})])
        resting.abort()
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
  }
}
