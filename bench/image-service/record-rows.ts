/** Records: shown, listed, made and deleted, by 16 clients at once. */
import type { Bar } from '../report.ts'
import type { Outcome } from './load.ts'
import type { Figures, Row } from './row.ts'

const CLIENTS = 16
/** How many times real Glance was promised. */
const TIMES = 20

/** What real Glance did on a quiet machine with two processors: the measure where it does not take part. */
const QUIET_GLANCE: Readonly<Record<string, number>> = {
  show: 312,
  list25: 114,
  list1000: 4.2,
  pairs: 39,
}

export const recordRows: readonly Row[] = [
  recordRow('show', 'show, 16 connections', async ({ client, images, scale }) => {
    const ids = await images()
    const requests = ids.map((id) => client.request('GET', `/v2/images/${id}`))
    return await client.load({
      kind: 'repeat',
      connections: CLIENTS,
      seconds: scale.seconds,
      requests,
    })
  }),
  listRow('list25', 'list, page of 25 out of 1,000, 16 connections', '/v2/images'),
  listRow('list1000', 'list, 1,000 in one answer, 16 connections', '/v2/images?limit=1000'),
  recordRow('pairs', 'create + delete, 16 connections', async ({ client, scale }) =>
    client.load({
      kind: 'pairs',
      connections: CLIENTS,
      seconds: scale.seconds,
      create: client.request('POST', '/v2/images', {
        name: 'bench-crud',
        disk_format: 'raw',
        container_format: 'bare',
      }),
      remove: client.request('DELETE', '/v2/images/ID'),
    }),
  ),
]

function listRow(key: string, what: string, path: string): Row {
  return recordRow(key, what, async ({ client, images, scale }) => {
    await images()
    const requests = [client.request('GET', path)]
    return await client.load({
      kind: 'repeat',
      connections: CLIENTS,
      seconds: scale.seconds,
      requests,
    })
  })
}

function recordRow(
  key: string,
  what: string,
  load: (bench: Parameters<Row['measure']>[0]) => Promise<Outcome & { cpuS: number }>,
): Row {
  return {
    key,
    what,
    measure: async (bench) => {
      const { count, seconds, p50Ms, p99Ms, cpuS } = await load(bench)
      return { perS: count / seconds, cpuMs: (cpuS / count) * 1000, p50Ms, p99Ms }
    },
    show: ({ perS = 0, cpuMs = 0, p50Ms = 0, p99Ms = 0 }) =>
      `${count(perS)}/s, ${cpuMs.toFixed(3)} ms CPU each, p50 ${p50Ms.toFixed(1)}, p99 ${p99Ms.toFixed(1)} ms`,
    ratio: (ours, peer) => rate(ours) / rate(peer),
    cpu: ({ cpuMs = NaN }) => cpuMs,
    bars: (ours, peer) => [timesBar(key, what, ours, peer)],
  }
}

function timesBar(key: string, what: string, ours: Figures, peer: Figures | undefined): Bar {
  const measure = peer === undefined ? (QUIET_GLANCE[key] ?? NaN) : rate(peer)
  const ratio = rate(ours) / measure
  const beside = peer === undefined ? `the ${measure}/s of a quiet machine` : 'Glance beside it'
  return {
    what,
    wanted: `${TIMES} times Glance`,
    found: `${count(rate(ours))}/s, ${ratio.toFixed(1)} times ${beside}`,
    met: ratio >= TIMES,
  }
}

function rate({ perS = NaN }: Figures): number {
  return perS
}

function count(perS: number): string {
  return perS < 100 ? perS.toFixed(1) : Math.round(perS).toLocaleString('en')
}
