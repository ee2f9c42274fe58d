/** What the server costs that does nothing yet: its start and its memory. */
import { MiB } from '../../src/base/units.ts'
import { memoryOf } from './processes.ts'
import type { Row } from './row.ts'

const START_MS = 1000

export const ownRows: readonly Row[] = [
  {
    key: 'start',
    what: 'start with nothing there yet, until it answers',
    alone: true,
    measure: async ({ startAnother }) => ({ ms: await startAnother() }),
    show: ({ ms = NaN }) => `${Math.round(ms)} ms`,
    ratio: () => NaN,
    bars: ({ ms = NaN }) => [
      {
        what: 'start',
        wanted: `under ${START_MS} ms`,
        found: `${Math.round(ms)} ms`,
        met: ms < START_MS,
      },
    ],
  },
  {
    key: 'idle',
    what: 'memory of the server that was just started',
    measure: async ({ client }) => ({ mib: memoryOf(client.server.pids()) / MiB }),
    show: ({ mib = NaN }) => `${Math.round(mib)} MiB`,
    ratio: (ours, peer) => (peer['mib'] ?? NaN) / (ours['mib'] ?? NaN),
    bars: () => [],
  },
]
