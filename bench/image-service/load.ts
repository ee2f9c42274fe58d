/** Load on a server, from a thread of its own, so that clients wait for the server and not for one another. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Answer, Connection } from './connection.ts'

/** What clients do. */
export type Job = { readonly port: number } & (
  | (Many & { readonly kind: 'repeat'; readonly requests: readonly string[] })
  /** What is asked for is due at its time, whether or not the server keeps up. */
  | (Many & { readonly kind: 'paced'; readonly requests: readonly string[]; perSecond: number })
  /** Makes an image, and removes it: `ID` in the second request is its id. */
  | (Many & { readonly kind: 'pairs'; readonly create: string; readonly remove: string })
  | { readonly kind: 'put'; readonly head: string; readonly file: string }
  | { readonly kind: 'get'; readonly request: string }
)

interface Many {
  readonly connections: number
  readonly seconds: number
}

/** What came of it. Times are those of single requests (of pairs: of both). */
export interface Outcome {
  readonly count: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of all answers. */
  readonly bytes: number
  /** Of the last answer. */
  readonly firstByteMs: number
}

/** Runs a job in a thread of its own. Throws when an answer was no success. */
export async function runLoad(job: Job): Promise<Outcome> {
  const worker = new Worker(new URL(import.meta.url), { workerData: job })
  return await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('the load ended without a word')))
  })
}

async function work(job: Job): Promise<Outcome> {
  const tally = new Tally()
  switch (job.kind) {
    case 'repeat': {
      let next = 0
      await byClients(job, async (connection) => {
        const request = job.requests[next++ % job.requests.length] ?? ''
        const startedAt = performance.now()
        tally.add(await connection.ask(request), startedAt)
      })
      break
    }
    case 'pairs':
      await byClients(job, async (connection) => {
        const startedAt = performance.now()
        const made = await connection.ask(job.create, true)
        demandSuccess(made)
        const { id } = JSON.parse(made.text) as { id: string }
        tally.add(await connection.ask(job.remove.replace('ID', id)), startedAt)
      })
      break
    case 'paced':
      await keepPace(job, tally)
      break
    default: {
      const connection = new Connection(job.port)
      const startedAt = performance.now()
      tally.add(
        await (job.kind === 'put'
          ? connection.put(job.head, job.file)
          : connection.ask(job.request)),
        startedAt,
      )
      connection.close()
    }
  }
  return tally.outcome()
}

/** Each connection does it again and again until the time is over. */
async function byClients(
  { port, connections, seconds }: Many & { port: number },
  act: (connection: Connection) => Promise<void>,
): Promise<void> {
  const end = performance.now() + seconds * 1000
  const one = async () => {
    const connection = new Connection(port)
    while (performance.now() < end) await act(connection)
    connection.close()
  }
  await Promise.all(Array.from({ length: connections }, one))
}

async function keepPace(
  job: Many & { port: number; requests: readonly string[]; perSecond: number },
  tally: Tally,
): Promise<void> {
  const startedAt = performance.now()
  const waiting: number[] = []
  const free = Array.from({ length: job.connections }, () => new Connection(job.port))
  const all = [...free]
  const wanted = job.seconds * job.perSecond
  let asked = 0
  await new Promise<void>((resolve, reject) => {
    const serve = () => {
      for (let connection = free.pop(); connection !== undefined; connection = free.pop()) {
        const due = waiting.shift()
        if (due === undefined) {
          free.push(connection)
          break
        }
        const mine = connection
        const request = job.requests[tally.count % job.requests.length] ?? ''
        const note = (answer: Answer): void => {
          tally.add(answer, due)
          free.push(mine)
          if (tally.count >= wanted) resolve()
          else serve()
        }
        connection.ask(request).then(note).catch(reject)
      }
    }
    const timer = setInterval(() => {
      const now = performance.now()
      for (; asked < wanted && asked <= ((now - startedAt) / 1000) * job.perSecond; asked++)
        waiting.push(now)
      if (asked >= wanted) clearInterval(timer)
      serve()
    }, 1)
  })
  for (const connection of all) connection.close()
}

class Tally {
  readonly #startedAt = performance.now()
  readonly #times: number[] = []
  #bytes = 0
  #firstByteMs = 0

  get count(): number {
    return this.#times.length
  }

  add(answer: Answer, startedAt: number): void {
    demandSuccess(answer)
    this.#times.push(performance.now() - startedAt)
    this.#bytes += answer.length
    this.#firstByteMs = answer.firstByteMs
  }

  outcome(): Outcome {
    const sorted = this.#times.toSorted((a, b) => a - b)
    const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? NaN
    return {
      count: sorted.length,
      seconds: (performance.now() - this.#startedAt) / 1000,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      bytes: this.#bytes,
      firstByteMs: this.#firstByteMs,
    }
  }
}

function demandSuccess({ status, text }: Answer): void {
  if (status < 200 || status >= 300) throw new Error(`the server answered ${status} ${text}`)
}

if (!isMainThread) parentPort?.postMessage(await work(workerData as Job))
