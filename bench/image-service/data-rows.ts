/** Data: uploaded, downloaded, imported, looked at in other formats; and what it costs meanwhile. */
import { hash, randomFillSync } from 'node:crypto'
import { statSync } from 'node:fs'
import { GiB, KiB, MiB } from '../../src/base/units.ts'
import type { Bar } from '../report.ts'
import type { Client } from './client.ts'
import { cpuOf, peakOf, writtenBy } from './processes.ts'
import type { Bench, Figures, Row } from './row.ts'

/** What real Glance did on a quiet machine: the measure where it does not take part. */
const QUIET_GLANCE = {
  upload: 180,
  uploadSparse: 168,
  download: 2577,
  download4: 4600,
  importRawS: 13.5,
  importQcow2S: 13.8,
}
const UPLOAD_TIMES = 1.7
const IMPORT_TIMES = 3
/** Data goes to the disk once, and beside it what the catalog says of it. */
const ONCE = 1.05
const VIEWS = ['vmdk', 'vhdx', 'vhd', 'qcow2']
const PARALLEL_UPLOADS = 8
const PACE = 2000
const SHOWN = 100

export const dataRows: readonly Row[] = [
  {
    ...throughputRow('upload', 'upload, raw', async ({ client, material, scale }) =>
      upload(client, await material.dense(scale.dense)),
    ),
    bars: (ours, peer) => [
      timesBar('upload, raw', ours, peer, QUIET_GLANCE.upload, UPLOAD_TIMES),
      atMost('CPU of an upload, of the two digests alone', cpuPerGiB(ours) / digestsCpuS(), 1.2),
    ],
  },
  {
    ...throughputRow('upload-sparse', 'upload, mostly zeros', async (bench) => {
      const { client, material, scale } = bench
      return await upload(client, await material.sparse(scale.sparse))
    }),
    bars: (ours, peer) => [
      timesBar('upload, mostly zeros', ours, peer, QUIET_GLANCE.uploadSparse, UPLOAD_TIMES),
      atMost('what it writes, of what is sent', written(ours) / (ours['size'] ?? NaN), 0.1),
    ],
  },
  {
    ...throughputRow('download', 'download', (bench) => downloads(bench, 1)),
    bars: (ours, peer) => [
      timesBar('download', ours, peer, QUIET_GLANCE.download, 1),
      atMost('CPU s for each GiB downloaded', cpuPerGiB(ours), 0.4),
    ],
  },
  {
    ...throughputRow('download4', 'download, four at once, together', (bench) =>
      downloads(bench, 4),
    ),
    bars: (ours, peer) => [
      timesBar('download, four at once', ours, peer, QUIET_GLANCE.download4, 1),
      atMost('CPU s for each GiB downloaded', cpuPerGiB(ours), 0.4),
    ],
  },
  importRow('import-raw', 'stage + import, raw', QUIET_GLANCE.importRawS, async (bench) =>
    importData(bench, 'raw', await bench.material.dense(bench.scale.dense)),
  ),
  importRow(
    'import-qcow2',
    'stage + import, qcow2 to raw',
    QUIET_GLANCE.importQcow2S,
    async (bench) => importData(bench, 'qcow2', await bench.material.qcow2(bench.scale.dense)),
  ),
  {
    key: 'first-byte',
    what: 'first byte as VMDK, VHDX, VHD, qcow2',
    alone: true,
    measure: firstBytes,
    show: (figures) =>
      VIEWS.map((format) => `${format} ${(figures[format] ?? NaN).toFixed(1)} ms`).join(', '),
    ratio: () => NaN,
    bars: (ours) => VIEWS.map((format) => under(`first byte as ${format}`, ours[format], 20, 'ms')),
  },
  {
    key: 'memory',
    what: '8 uploads at once: peak memory',
    alone: true, // it would write 32 GiB of zeros
    measure: memoryOfUploads,
    show: ({ peakMiB = NaN, mibPerS = NaN }) =>
      `${Math.round(peakMiB)} MiB (${Math.round(mibPerS)} MiB/s together)`,
    ratio: () => NaN,
    bars: (ours) => [under('memory during 8 uploads', ours['peakMiB'], 300, 'MiB')],
  },
  {
    key: 'starve',
    what: '2,000 shows a second while four uploads run',
    alone: true,
    measure: showsBesideUploads,
    show: ({ p50Ms = NaN, p99Ms = NaN, perS = NaN }) =>
      `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms at ${Math.round(perS)}/s`,
    ratio: () => NaN,
    bars: (ours) => [under('p99 of show while four uploads run', ours['p99Ms'], 50, 'ms')],
  },
]

/** Uploads the file to a new image, which is removed again. */
async function upload(client: Client, file: string): Promise<Figures> {
  const { size } = statSync(file)
  const id = await client.createImage()
  const before = writtenBy(client.server.pids())
  const head = client.headOf(`/v2/images/${id}/file`, size)
  const { seconds, cpuS } = await client.load({ kind: 'put', head, file })
  const written = writtenBy(client.server.pids()) - before
  const image = await client.show(id)
  if (image.status !== 'active' || image.size !== size)
    throw new Error(`the upload left ${JSON.stringify(image)}`)
  await client.deleteImages([id])
  return { seconds, cpuS, size, written }
}

async function downloads({ client, material, scale }: Bench, parallel: number): Promise<Figures> {
  const size = scale.dense
  const id = await client.createImage()
  const path = `/v2/images/${id}/file`
  const head = client.headOf(path, size)
  await client.load({ kind: 'put', head, file: await material.dense(size) })
  const before = cpuOf(client.server.pids())
  const startedAt = performance.now()
  const request = client.request('GET', path)
  const all = await Promise.all(
    Array.from({ length: parallel }, () => client.load({ kind: 'get', request })),
  )
  const seconds = (performance.now() - startedAt) / 1000
  const cpuS = cpuOf(client.server.pids()) - before
  if (all.some(({ bytes }) => bytes !== size)) throw new Error('a download was cut off')
  await client.deleteImages([id])
  const longest = Math.max(...all.map((one) => one.seconds))
  return { seconds: parallel === 1 ? longest : seconds, cpuS, size: size * parallel }
}

async function importData({ client }: Bench, format: string, file: string): Promise<Figures> {
  const { size } = statSync(file)
  const id = await client.createImage(format)
  const pids = client.server.pids()
  const [cpuBefore, writtenBefore] = [cpuOf(pids), writtenBy(pids)]
  const startedAt = performance.now()
  const head = client.headOf(`/v2/images/${id}/stage`, size)
  await client.load({ kind: 'put', head, file })
  const stageS = (performance.now() - startedAt) / 1000
  await client.ask('POST', `/v2/images/${id}/import`, { method: { name: 'glance-direct' } })
  const image = await client.untilActive(id)
  const seconds = (performance.now() - startedAt) / 1000
  if (image.disk_format !== 'raw') throw new Error(`it became ${image.disk_format}`)
  const after = client.server.pids()
  const figures = {
    seconds,
    stageS,
    cpuS: cpuOf(after) - cpuBefore,
    written: writtenBy(after) - writtenBefore,
    size,
  }
  await client.deleteImages([id])
  return figures
}

/** The first time that each format is asked for. The disk comes as a small qcow2. */
async function firstBytes({ client, material, scale }: Bench): Promise<Figures> {
  const file = await material.sparseQcow2(scale.disk)
  const id = await client.createImage('qcow2')
  const head = client.headOf(`/v2/images/${id}/stage`, statSync(file).size)
  await client.load({ kind: 'put', head, file })
  await client.ask('POST', `/v2/images/${id}/import`, { method: { name: 'glance-direct' } })
  await client.untilActive(id)
  const figures: Record<string, number> = {}
  for (const format of VIEWS) {
    const range = `Range: bytes=0-${64 * KiB - 1}\r\n\r\n`
    const path = `/v2/images/${id}/file?disk_format=${format}`
    const request = client.request('GET', path).replace(/\r\n$/, range)
    figures[format] = (await client.load({ kind: 'get', request })).firstByteMs
  }
  await client.deleteImages([id])
  return figures
}

async function memoryOfUploads({ client, material, scale }: Bench): Promise<Figures> {
  const file = await material.sparse(scale.sparse)
  const startedAt = performance.now()
  const ids = await Promise.all(
    Array.from({ length: PARALLEL_UPLOADS }, () => client.createImage()),
  )
  await Promise.all(
    ids.map((id) => {
      const head = client.headOf(`/v2/images/${id}/file`, scale.sparse)
      return client.load({ kind: 'put', head, file })
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  const peakMiB = peakOf(client.server.pids()) / MiB
  await client.deleteImages(ids)
  return { peakMiB, mibPerS: (PARALLEL_UPLOADS * scale.sparse) / MiB / seconds }
}

async function showsBesideUploads({ client, material, scale, images }: Bench): Promise<Figures> {
  const file = await material.dense(scale.dense)
  const shown = (await images()).slice(0, SHOWN)
  const requests = shown.map((id) => client.request('GET', `/v2/images/${id}`))
  const over = new AbortController()
  const uploading = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) await upload(client, file)
  })
  const load = { kind: 'paced', connections: 16, perSecond: PACE, requests } as const
  try {
    const { p50Ms, p99Ms, count, seconds } = await client.load({ ...load, seconds: scale.seconds })
    return { p50Ms, p99Ms, perS: count / seconds }
  } finally {
    over.abort()
    await Promise.all(uploading)
  }
}

function throughputRow(key: string, what: string, measure: Row['measure']): Omit<Row, 'bars'> {
  return {
    key,
    what,
    measure,
    show: (figures) =>
      `${Math.round(speed(figures))} MiB/s, ${cpuPerGiB(figures).toFixed(2)} CPU s/GiB`,
    ratio: (ours, peer) => speed(ours) / speed(peer),
    cpu: cpuPerGiB,
  }
}

function importRow(key: string, what: string, quietS: number, measure: Row['measure']): Row {
  return {
    key,
    what,
    measure,
    show: (figures) => {
      const { seconds = NaN, stageS = NaN } = figures
      return `${seconds.toFixed(1)} s (stage ${stageS.toFixed(1)}), ${cpuPerGiB(figures).toFixed(1)} CPU s/GiB, ${(written(figures) / GiB).toFixed(2)} GiB written`
    },
    ratio: (ours, peer) => secondsPerGiB(peer) / secondsPerGiB(ours),
    cpu: cpuPerGiB,
    bars: (ours, peer) => {
      const ratio = (peer === undefined ? quietS : secondsPerGiB(peer)) / secondsPerGiB(ours)
      return [
        {
          what,
          wanted: `${IMPORT_TIMES} times faster`,
          found: `${ratio.toFixed(1)} times`,
          met: ratio >= IMPORT_TIMES,
        },
        atMost(`${what}: written, of what was sent`, written(ours) / (ours['size'] ?? NaN), ONCE),
        // A disk that is memory counts nothing
        ...(peer !== undefined && written(peer) > 0
          ? [atMost(`${what}: written, of Glance’s`, written(ours) / written(peer), 1 / 3)]
          : []),
      ]
    },
  }
}

/** Bytes that went to the disk. */
function written({ written: bytes = NaN }: Figures): number {
  return bytes
}

/** MiB a second. */
function speed({ size = NaN, seconds = NaN }: Figures): number {
  return size / MiB / seconds
}

function secondsPerGiB({ size = NaN, seconds = NaN }: Figures): number {
  return seconds / (size / GiB)
}

function cpuPerGiB({ size = NaN, cpuS = NaN }: Figures): number {
  return cpuS / (size / GiB)
}

function timesBar(
  what: string,
  ours: Figures,
  peer: Figures | undefined,
  quiet: number,
  wanted: number,
): Bar {
  const ratio = speed(ours) / (peer === undefined ? quiet : speed(peer))
  return {
    what,
    wanted: `${wanted} times Glance`,
    found:
      `${ratio.toFixed(2)} times ${peer === undefined ? 'that of a quiet machine' : ''}`.trim(),
    met: ratio >= wanted,
  }
}

function atMost(what: string, found: number, most: number): Bar {
  return { what, wanted: `at most ${most.toFixed(2)}`, found: found.toFixed(2), met: found <= most }
}

function under(what: string, found = NaN, bound: number, unit: string): Bar {
  return {
    what,
    wanted: `under ${bound} ${unit}`,
    found: `${found.toFixed(1)} ${unit}`,
    met: found < bound,
  }
}

/** What MD5 and SHA-512 of a GiB cost here and now, with nothing else done: CPU seconds. */
function digestsCpuS(): number {
  const part = randomFillSync(Buffer.alloc(256 * MiB))
  const before = process.cpuUsage()
  for (const algorithm of ['md5', 'sha512']) hash(algorithm, part)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) / 1e6) * (GiB / part.length)
}
