import { FOLLOWED, readLog } from '../_log-table.ts'
import type { RecipeRunEvent } from '../recipe-runs.ts'
import type { RunGround } from './_run-kinds.ts'
import { toRun } from './_run-table.ts'

/** Between two looks. What happens in this process is told at once. */
const LOOK_MS = 500

/** What happens to a run, as it happens, on whichever server. Fails with TASK_NOT_FOUND. */
export async function* followRun(
  { database, table, news }: RunGround,
  id: string,
  signal: AbortSignal,
  after?: number,
): AsyncGenerator<RecipeRunEvent> {
  let row = await table.demand(id)
  let seen = after ?? row.log_end
  let told = 0
  let heard = Promise.withResolvers<void>()
  const hear = () => heard.resolve()
  const stop = news.listen(id, hear)
  signal.addEventListener('abort', hear, { once: true })
  try {
    for (;;) {
      if (row.revision !== told) yield { kind: 'run', run: toRun(row) }
      told = row.revision
      while (seen < row.log_end && !signal.aborted) {
        const entries = await readLog(database, id, seen, FOLLOWED.limit, FOLLOWED.bytes)
        if (entries.length === 0) break
        for (const entry of entries) yield { kind: 'log', entry }
        seen = entries.at(-1)?.sequence ?? seen
      }
      if (row.ended_at !== null || signal.aborted) return
      const look = setTimeout(hear, LOOK_MS)
      await heard.promise
      clearTimeout(look)
      heard = Promise.withResolvers()
      row = await table.demand(id)
    }
  } finally {
    stop()
    signal.removeEventListener('abort', hear)
  }
}
