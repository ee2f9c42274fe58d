import { toImage } from './_factory-tables.ts'
import { followRow } from './_follow-row.ts'
import type { Ground } from './_ground.ts'
import { isFinal } from '../factory-image.ts'
import type { FactoryEvent } from '../factory.ts'

/** What happens to an image, on whichever server. Fails with BUILD_NOT_FOUND. */
export async function* followImage(
  ground: Ground,
  id: string,
  signal: AbortSignal,
  after?: number,
): AsyncGenerator<FactoryEvent> {
  const { records } = ground
  yield* followRow(
    ground,
    {
      id,
      row: await records.demand(id),
      find: async () => await records.find(id),
      toEvent: (row) => ({ kind: 'image' as const, image: toImage(row) }),
      toLast: (row) => {
        const image = { ...toImage(row), status: 'DELETED' as const, activity: 'deleted' }
        return { kind: 'image' as const, image }
      },
      hasEnded: ({ status }) => isFinal(status),
    },
    signal,
    after,
  )
}
