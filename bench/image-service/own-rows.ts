/** What the server costs that does nothing yet: its start and its memory. */
import { MiB } from '../../src/base/units.ts'
import { memoryOf } from './processes.ts'
import type { Row } from './row.ts'

export const ownRows: readonly Row[] = [
  {
    key: 'idle',
    what: 'memory of the server that was just started',
    measure: async ({ client }) => ({ mib: memoryOf(client.server.pids()) / MiB }),
    show: ({ mib = NaN }) => `${Math.round(mib)} MiB`,
    ratio: (ours, peer) => (peer['mib'] ?? NaN) / (ours['mib'] ?? NaN),
    bars: () => [],
  },
]
