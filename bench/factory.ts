/**
 * The factory behind its REST API: chains of base, target and provider image of the mock parts, ordered by template by several
 * clients at once, and followed to their end. Told are images a second (of each of some runs on one server, and their
 * median), the time of an order, and what the server's memory does meanwhile: it may not grow with their number.
 *
 *     node bench/factory.ts [--images N] [--runs N] [--clients N] [--base] [--postgres]
 *
 * `--base`: base images only, each of which has a body of its own to be stored. `--postgres`: on a PostgreSQL of its own,
 * which syncs as any other does; told is also how many transactions were begun again for each image.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { formatSize } from '../src/base/units.ts'
import { startPostgres } from '../src/testing/postgres.ts'
import { startServer } from '../src/testing/serve.ts'
import { openPlace } from './place.ts'

const TDL =
  "<template><name>mock</name><os><name>MockOS_A</name><version>1</version><arch>x86_64</arch><install type='url'><url>http://mirror.example/</url></install></os></template>"
/** Bars: images a second, and growth of the server's memory from the first third to the end. */
const MIN_PER_SECOND = 100
const MAX_GROWTH = 64 * 1024 * 1024

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    clients: { type: 'string', default: '32' },
    base: { type: 'boolean', default: false },
    postgres: { type: 'boolean', default: false },
  },
})
const stages = values.base ? 1 : 3
const runs = Number(values.runs)
const orders = Math.ceil(Number(values.images) / stages)
const images = orders * stages * runs

await using place = await openPlace()
await using postgres = values.postgres
  ? await startPostgres({ fsync: 'on', full_page_writes: 'on' }, place.at('.'))
  : undefined
const database = await postgres?.createDatabase()
const config = {
  ...(database !== undefined && { database }),
  data_dir: place.at('data'),
  import: { concurrency: 16 },
  factory: { concurrency: { mock: 16 } },
}
await using server = await startServer(place.at('ingot.yaml'), config)
const agent = new Agent({ keepAlive: true })

/** Asks the server; the body of its answer. */
async function ask(method: string, path: string, body?: object): Promise<string> {
  return await new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
    const asked = request(`${server.url}${path}`, { method, headers, agent }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part)).on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(parts).toString()
        if ((response.statusCode ?? 500) < 300) resolve(answer)
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`))
      })
    })
    asked.on('error', reject).end(text)
  })
}

const order = values.base
  ? { type: 'base', template: TDL }
  : { type: 'provider', target: 'mock', provider: 'bench', template: TDL }
const orderMs: number[] = []
/** Resident bytes of the server after so many images. */
const memory: { after: number; size: number }[] = []
const LOOKS = 12
let ordered = 0
let ended = 0

/** Orders, and follows each to its end, until so many are ordered. */
async function client(until: number): Promise<void> {
  while (ordered < until) {
    ordered += 1
    const from = performance.now()
    const { id } = JSON.parse(await ask('POST', '/ingot/v1/builds', order)) as { id: string }
    orderMs.push(performance.now() - from)
    const events = await ask('GET', `/ingot/v1/builds/${id}/events`)
    if (!events.includes('"status":"COMPLETE"')) throw new Error(`${id} did not become COMPLETE`)
    ended += 1
    if (ended % Math.ceil((orders * runs) / LOOKS) === 0)
      memory.push({ after: ended * stages, size: serverMemory() })
  }
}

/** Images a second. */
async function run(number: number): Promise<number> {
  const from = performance.now()
  await Promise.all(Array.from({ length: Number(values.clients) }, () => client(orders * number)))
  return (orders * stages) / ((performance.now() - from) / 1000)
}

const before = serverMemory()
const countsBefore = await transactions()
const cpuBefore = serverCpuS()
const speeds: number[] = []
for (let number = 1; number <= runs; number++) speeds.push(await run(number))
agent.destroy()

const perSecond = medianOf(speeds)
const third = memory[Math.floor(memory.length / 3)]?.size ?? before
const growth = serverMemory() - third
const cpuMs = ((serverCpuS() - cpuBefore) / images) * 1000
const counts = await transactions()
const perImage = (name: 'commits' | 'rollbacks') =>
  ((counts[name] - countsBefore[name]) / images).toFixed(2)
const rows = [
  ['images', String(images)],
  ['images a second, median', perSecond.toFixed(0)],
  ['of each run', speeds.map((speed) => speed.toFixed(0)).join(', ')],
  ['processor time of the server for one', `${cpuMs.toFixed(1)} ms`],
  ['an order, median', `${medianOf(orderMs).toFixed(1)} ms`],
  ...(database === undefined
    ? []
    : [
        ['transactions for one: committed', perImage('commits')],
        ['transactions for one: given up, most to be begun again', perImage('rollbacks')],
      ]),
  ['memory of the server before', formatSize(before)],
  ...memory.map(({ after, size }) => [`after ${after} images`, formatSize(size)]),
  ['growth from the first third to the end', formatSize(Math.max(0, growth))],
]
process.stdout.write(`${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`)
if (perSecond < MIN_PER_SECOND || growth > MAX_GROWTH) process.exitCode = 1

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}

/** Transactions of the database so far. */
async function transactions(): Promise<{ commits: number; rollbacks: number }> {
  if (database === undefined) return { commits: 0, rollbacks: 0 }
  const client = new Client(database)
  await client.connect()
  const { rows } = await client.query<{ commits: string; rollbacks: string }>(
    'select xact_commit commits, xact_rollback rollbacks from pg_stat_database where datname = current_database()',
  )
  await client.end()
  return { commits: Number(rows[0]?.commits), rollbacks: Number(rows[0]?.rollbacks) }
}

/** Resident bytes of the server's process. */
function serverMemory(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Processor time of the server, all threads. */
function serverCpuS(): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const TICKS_PER_S = 100
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}
