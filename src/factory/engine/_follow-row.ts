/** What happens to a row, as it happens: in this process at once, on other servers as looks at the database find it. */
import type { Database } from '../../database/database.ts'
import { FOLLOWED, readLog } from './_log-table.ts'
import type { News } from './_news.ts'
import type { LogEntry } from '../build-log.ts'

/** What is followed of an image, or of a run. */
interface FollowedRow {
  readonly revision: number
  readonly log_end: number
  readonly log_size: number
}

export interface Followed<Row extends FollowedRow, Event> {
  readonly id: string
  readonly row: Row
  /** As it is now; undefined: it is there no more. */
  find(): Promise<Row | undefined>
  toEvent(row: Row): Event
  /** What is told last of one that is there no more. */
  toLast(row: Row): Event
  hasEnded(row: Row): boolean
}

/** Between two looks, at least; and for each who follows, so that a thousand do not keep the database busy. */
const LOOK_MS = 250
const LOOK_EACH_MS = 2

/** Entries of the log come after the change that they came with. */
export async function* followRow<Row extends FollowedRow, Event>(
  { database, news }: { readonly database: Database; readonly news: News },
  followed: Followed<Row, Event>,
  signal: AbortSignal,
  after?: number,
): AsyncGenerator<Event | { readonly kind: 'log'; readonly entry: LogEntry }> {
  const { id, find, toEvent, toLast, hasEnded } = followed
  let { row } = followed
  let seen = after ?? row.log_end
  let told = 0
  let heard = Promise.withResolvers<void>()
  const hear = () => heard.resolve()
  const stop = news.listen(id, hear)
  signal.addEventListener('abort', hear, { once: true })
  try {
    for (;;) {
      if (row.revision !== told) yield toEvent(row)
      told = row.revision
      while (seen < row.log_end && !signal.aborted) {
        const entries = await readEntries(database, id, row, seen)
        if (entries.length === 0) break
        for (const entry of entries) yield { kind: 'log', entry }
        seen = entries.at(-1)?.sequence ?? seen
      }
      if (hasEnded(row) || signal.aborted) return
      const look = setTimeout(hear, Math.max(LOOK_MS, LOOK_EACH_MS * news.count))
      await heard.promise
      clearTimeout(look)
      heard = Promise.withResolvers()
      const now = await find()
      if (now === undefined) {
        yield toLast(row)
        return
      }
      row = now
    }
  } finally {
    stop()
    signal.removeEventListener('abort', hear)
  }
}

/** Of a log that is short as a whole, what is known of it is read at once. */
async function readEntries(
  database: Database,
  id: string,
  row: FollowedRow,
  seen: number,
): Promise<LogEntry[]> {
  const limit = Math.min(FOLLOWED.limit, row.log_end - seen)
  const bytes = row.log_size <= FOLLOWED.bytes ? Infinity : FOLLOWED.bytes
  return await readLog(database, id, seen, limit, bytes)
}
