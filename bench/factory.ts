/**
 * The factory behind its REST API: chains of base, target and provider image of the mock parts, ordered by template by several
 * clients at once, and followed to their end. Told are images a second, the time of an order, and what the server's memory does meanwhile: it may not grow with their
 * number.
 *
 *     node bench/factory.ts [--images N] [--clients N] [--base]
 *
 * `--base`: base images only, each of which has a body of its own to be stored.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { formatSize } from '../src/base/units.ts'
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
    clients: { type: 'string', default: '32' },
    base: { type: 'boolean', default: false },
  },
})
const stages = values.base ? 1 : 3
const orders = Math.ceil(Number(values.images) / stages)

await using place = await openPlace()
const config = {
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
const memory: number[] = []
let ordered = 0

/** Orders, and follows each to its end, until all are ordered. */
async function client(): Promise<void> {
  while (ordered < orders) {
    ordered += 1
    if (ordered % Math.ceil(orders / 12) === 0) memory.push(serverMemory())
    const from = performance.now()
    const { id } = JSON.parse(await ask('POST', '/ingot/v1/builds', order)) as { id: string }
    orderMs.push(performance.now() - from)
    const events = await ask('GET', `/ingot/v1/builds/${id}/events`)
    if (!events.includes('"status":"COMPLETE"')) throw new Error(`${id} did not become COMPLETE`)
  }
}

const before = serverMemory()
const cpuBefore = serverCpuS()
const from = performance.now()
await Promise.all(Array.from({ length: Number(values.clients) }, client))
const seconds = (performance.now() - from) / 1000
agent.destroy()

const perSecond = (orders * stages) / seconds
const third = memory[Math.floor(memory.length / 3)] ?? before
const growth = serverMemory() - third
const cpuMs = ((serverCpuS() - cpuBefore) / (orders * stages)) * 1000
const median = orderMs.toSorted((a, b) => a - b)[Math.floor(orderMs.length / 2)] ?? 0
const rows = [
  ['images', String(orders * stages)],
  ['images a second', perSecond.toFixed(0)],
  ['processor time of the server for one', `${cpuMs.toFixed(1)} ms`],
  ['an order, median', `${median.toFixed(1)} ms`],
  ['memory of the server before', formatSize(before)],
  ['after a third, and at the end', `${formatSize(third)}, ${formatSize(third + growth)}`],
]
process.stdout.write(`${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`)
if (perSecond < MIN_PER_SECOND || growth > MAX_GROWTH) process.exitCode = 1

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
