/**
 * Serving a golden image in another format: Ingot's views, computed as they are sent, against converting
 * with qemu-img and letting nginx send the file. The disk is 10 GiB with 1 GiB of data in many places.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { makeContext } from '../src/base/context.ts'
import { runTool, startProcess, stopProcess } from '../src/base/process.ts'
import { GiB, MiB, TiB } from '../src/base/units.ts'
import type { Source } from '../src/bytes/source.ts'
import { DiskMap, UNIT } from '../src/formats/disk-map.ts'
import { makeView, VIEW_FORMATS } from '../src/formats/views.ts'
import type { Listing } from '../src/http/listing.ts'
import { openViewServer } from '../src/http/view-server.ts'
import { openService } from '../src/testing/service.ts'
import { measure, median } from './measure.ts'
import { INGOT, openPlace, readRuns } from './place.ts'
import { atMost, type Bar, printBars, printHeading, printSeries } from './report.ts'
import { costOf, runSeries } from './series.ts'

const DISK = 10 * GiB
const DATA = GiB
const RUNS_OF_DATA = 22
const VIEW = 'ingot view'
const CONVERT = 'qemu-img convert, then nginx'
const CONVERT_W = 'qemu-img convert -W -m 8, then nginx'
const CLIENTS = 16
const FIRST_BYTES = 7
const TICKS_PER_S = 100
const UNCOMPRESSED = VIEW_FORMATS.filter(({ needs }) => needs === 'map').map(({ name }) => name)

const runs = readRuns()
await using place = await openPlace()
const raw = place.at('golden.raw')
await makeDisk(raw)

await using server = await openService([INGOT, 'view', raw, '--listen', '127.0.0.1:0', '--json'])
const { url, formats } = server.told as Listing & { url: string }
const addressOf = (name: string) =>
  new URL(formats.find((format) => format.name === name)?.url ?? '', url).href
const length = formats.find(({ name }) => name === 'qcow2')?.length ?? NaN

const converted = place.at('served/golden.qcow2')
const nginx = await startNginx()
try {
  printHeading('Serving another format', `bench/view.ts --runs ${runs}`)
  const byNginx = download(`${nginx.url}/golden.qcow2`)
  const convert = (flags: string) =>
    `qemu-img convert -f raw -O qcow2 ${flags} "$0" "$1" && ${byNginx}`
  const peer = (name: string, flags: string) => ({
    name,
    argv: ['sh', '-c', convert(flags), raw, converted],
    leftovers: [converted],
  })
  await measure({ argv: ['curl', '-sSf', '-o', '/dev/null', addressOf('qcow2')] }) // the first compiles
  let serverCpuS = 0
  let before = 0
  const series = await runSeries(
    [
      {
        name: VIEW,
        argv: ['sh', '-c', download(addressOf('qcow2'))],
        prepare: async () => void (before = cpuOf(server.pid)),
        check: async () => void (serverCpuS += cpuOf(server.pid) - before),
      },
      peer(CONVERT, ''),
      peer(CONVERT_W, '-W -m 8'),
    ],
    runs,
  )
  printSeries(`qcow2 of a 10 GiB disk with 1 GiB of data, the whole file (${Math.round(length / MiB)} MiB); CPU without the servers’ own`, series) // prettier-ignore
  const perGiB = serverCpuS / runs / (length / GiB)
  const theirs = Math.min(...[CONVERT, CONVERT_W].map((name) => costOf(series, name)?.cpuS ?? NaN))
  process.stdout.write(
    `For each GiB the server of the views takes ${perGiB.toFixed(2)} s of CPU; qemu-img and the client take ${(theirs / (length / GiB)).toFixed(2)} s, without nginx.\n\n`,
  )

  const ours = costOf(series, VIEW)
  const bars = [
    atMost('the whole qcow2 against converting and sending', ours, costOf(series, CONVERT), 0.6),
    atMost('the same, against -W -m 8', ours, costOf(series, CONVERT_W), 0.6),
    bar('CPU s of the server for each GiB', perGiB, 0.5, 's'),
    ...(await firstByteBars()),
    ...(await scatteredBars()),
    await memoryBar(),
  ]
  process.exitCode = printBars(bars)
} finally {
  await stopProcess(nginx.child)
}

/** GPT-like: data in 22 runs, so that nothing is near the middle of nothing. Content does not compress. */
async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(DISK)
  const noise = Buffer.alloc(MiB)
  for (let at = 0; at < MiB; at += 64)
    createHash('sha512').update(String(at)).digest().copy(noise, at)
  const perRun = Math.floor(DATA / MiB / RUNS_OF_DATA)
  for (let run = 0; run < RUNS_OF_DATA; run++)
    for (let part = 0; part < perRun; part++) {
      noise.writeUInt32LE(run * perRun + part, 0)
      await file.write(noise, 0, MiB, Math.floor((DISK / RUNS_OF_DATA / MiB) * run + part) * MiB)
    }
  await file.write(Buffer.from([0x55, 0xaa]), 0, 2, 510)
  await file.sync()
}

/** What a client does. */
function download(address: string): string {
  return `curl -sSf -o /dev/null '${address}'`
}

/** The time until the first byte of the content is there, on a connection of its own. */
async function firstByteMs(address: string): Promise<number> {
  const startedAt = performance.now()
  return await new Promise((resolve, reject) => {
    get(address, { agent: false }, (response) => {
      response.once('data', () => {
        resolve(performance.now() - startedAt)
        response.destroy()
      })
    }).on('error', reject)
  })
}

async function firstByteBars(): Promise<Bar[]> {
  const bars: Bar[] = []
  for (const name of UNCOMPRESSED) {
    const times: number[] = []
    for (let time = 0; time < FIRST_BYTES; time++) times.push(await firstByteMs(addressOf(name)))
    bars.push(bar(`first byte of ${name}`, median(times), 20, 'ms'))
  }
  return bars
}

/**
 * The worst disk: 2 TiB, two of three units hold data. By the map: until the first piece and one in the
 * middle are there. Over HTTP: until the client has the first byte, at a server that has just started.
 */
async function scatteredBars(): Promise<Bar[]> {
  const words = new Uint32Array((2 * TiB) / UNIT / 32)
  for (let unit = 0; unit < words.length * 32; unit++)
    if (unit % 3 !== 0) words[unit >>> 5] = (words[unit >>> 5] ?? 0) | (1 << (unit & 31))
  const byMap = new Map<string, number[]>()
  const byHttp = new Map<string, number[]>()
  const formats = VIEW_FORMATS.filter(
    ({ needs, maxVirtualSize = Infinity }) => needs === 'map' && maxVirtualSize >= 2 * TiB,
  )
  for (const { name } of formats)
    for (let time = 0; time < runs; time++) {
      const map = new DiskMap(2 * TiB, words.slice())
      const startedAt = performance.now()
      const view = makeView(name, { map, identity: 'a scattered disk' })
      const middle = Math.floor(view.length / 2)
      for (const from of [0, middle]) firstOf(view.pieces(from, from + 1))
      byMap.set(name, [...(byMap.get(name) ?? []), performance.now() - startedAt])
      byHttp.set(name, [...(byHttp.get(name) ?? []), await firstByteOfNewServer(name, map)])
    }
  return formats.flatMap(({ name }) => [
    bar(`first pieces of ${name}, 2 TiB scattered`, median(byMap.get(name) ?? []), 50, 'ms'),
    bar(`the same over HTTP`, median(byHttp.get(name) ?? []), 50, 'ms'),
  ])
}

async function firstByteOfNewServer(name: string, map: DiskMap): Promise<number> {
  const identity = 'a scattered disk'
  const disk = zeroDisk(map.size)
  const served = { name: 'scattered', disk, map, identity, contentDigest: 'scattered' }
  await using scattered = await openViewServer(
    served,
    { host: '127.0.0.1', port: 0, storeDirectory: place.at('.') },
    makeContext(),
  )
  const found = scattered.listing().formats.find((format) => format.name === name)
  return await firstByteMs(new URL(found?.url ?? '', scattered.url).href)
}

function zeroDisk(size: number): Source {
  return {
    name: 'zeros',
    size,
    read: async (_offset, length) => Buffer.alloc(length),
    [Symbol.asyncDispose]: async () => {},
  }
}

function firstOf<Value>(values: Iterable<Value>): Value | undefined {
  for (const value of values) return value
  return undefined
}

/** What the server holds at most while sixteen clients download, above what it holds at rest. */
async function memoryBar(): Promise<Bar> {
  const idle = memoryOf('VmRSS')
  await writeFile(`/proc/${server.pid}/clear_refs`, '5') // the peak counts from here
  const names = Array.from(
    { length: CLIENTS },
    (_, n) => UNCOMPRESSED[n % UNCOMPRESSED.length] ?? '',
  )
  await Promise.all(
    names.map((name) => runTool(['curl', '-sSf', '-o', '/dev/null', addressOf(name)])),
  )
  return bar(
    `memory of ${CLIENTS} views at once, above idle`,
    (memoryOf('VmHWM') - idle) / MiB,
    150,
    'MiB',
  )
}

function memoryOf(field: string): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
}

/** Processor seconds of a process so far. Source: proc_pid_stat(5), fields 14 and 15. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}

function bar(what: string, value: number, most: number, unit: string): Bar {
  const found = `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`
  return { what, wanted: `at most ${most} ${unit}`, found, met: value <= most }
}

/** nginx as it sends files best, with nothing outside the benchmark's directory. */
async function startNginx() {
  await mkdir(place.at('served'))
  const port = 18_000 + (process.pid % 1000)
  const config = place.at('nginx.conf')
  await writeFile(
    config,
    `daemon off; worker_processes 1; pid ${place.at('nginx.pid')}; error_log stderr crit;
events {}
http { access_log off; sendfile on; tcp_nopush on;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${place.at(kind)};`).join(' ')}
server { listen 127.0.0.1:${port}; root ${place.at('served')}; } }
`,
  )
  const child = startProcess(['nginx', '-p', place.at('.'), '-c', config], { stdio: 'inherit' })
  const url = `http://127.0.0.1:${port}`
  await runTool(['curl', '-s', '-o', '/dev/null', '--retry', '20', '--retry-connrefused', '--retry-delay', '1', url]) // prettier-ignore
  return { child, url }
}
