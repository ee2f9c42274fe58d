/** What the server costs whatever it does: its start and its memory. */
import { MiB } from '../../src/base/units.ts'
import { memoryOf, peakOf } from './processes.ts'
import type { Row } from './row.ts'

const START_MS = 1000

export const firstRows: readonly Row[] = [
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
  memoryRow('idle', 'memory of a server that did nothing yet', memoryOf),
]

/** Comes behind all others. */
export const lastRows: readonly Row[] = [
  memoryRow('peak', 'memory at its most, in all of this', peakOf),
]

function memoryRow(key: string, what: string, of: (pids: readonly number[]) => number): Row {
  return {
    key,
    what,
    measure: async ({ client }) => ({ mib: of(client.server.pids()) / MiB }),
    show: ({ mib = NaN }) => `${Math.round(mib)} MiB`,
    ratio: (ours, peer) => (peer['mib'] ?? NaN) / (ours['mib'] ?? NaN),
    bars: () => [],
  }
}
