import { followRow } from '../engine/_follow-row.ts'
import type { RecipeRunEvent } from '../recipe-runs.ts'
import type { RunGround } from './_run-kinds.ts'
import { type RunRow, toRun } from './_run-table.ts'

/** What happens to a run, on whichever server. Fails with TASK_NOT_FOUND. */
export async function* followRun(
  ground: RunGround,
  id: string,
  signal: AbortSignal,
  after?: number,
): AsyncGenerator<RecipeRunEvent> {
  const { table } = ground
  yield* followRow(
    ground,
    {
      id,
      row: await table.demand(id),
      find: async () => await table.demand(id),
      toEvent,
      toLast: toEvent,
      hasEnded: (row) => row.ended_at !== null,
    },
    signal,
    after,
  )
}

function toEvent(row: RunRow): RecipeRunEvent {
  return { kind: 'run', run: toRun(row) }
}
