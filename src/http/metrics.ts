import type { FastifyInstance } from 'fastify'
import type { Service } from '../app/service.ts'
import { messageOf } from '../base/failure.ts'
import { ImageCounts } from './_image-counts.ts'
import { movedTo } from './_moved-bytes.ts'
import type { UnderWay } from './_under-way.ts'

/** One request that was answered. */
interface Answered {
  readonly method: string
  readonly route: string
  readonly status: string
  readonly seconds: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Where answered requests are counted. */
interface Figures {
  readonly mediaType: string
  count(answered: Answered): void
  render(underWay: number): Promise<string>
}

/** Seconds: from what is answered out of memory to an upload of an hour. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600]
/** More unfinished tasks than these are not counted. */
const MAX_TASKS = 1000

/**
 * What a server counts of itself, for Prometheus. Its library is loaded once the server listens, since that takes as
 * long as all the rest of a start; what is answered before waits.
 */
export class Metrics {
  readonly #service: Service
  readonly #underWay: UnderWay
  readonly #early: Answered[] = []
  #figures: Figures | undefined
  #loading: Promise<Figures> | undefined

  /** Counts what `app` answers. To be called before routes are added. */
  constructor(app: FastifyInstance, service: Service, underWay: UnderWay) {
    this.#service = service
    this.#underWay = underWay
    const traffic = new Traffic()
    app.addHook('onListen', (done) => {
      setImmediate(() => this.#load())
      done()
    })
    app.addHook('onResponse', (request, reply, done) => {
      this.#count({
        method: request.method,
        route: request.routeOptions.url ?? 'unknown',
        status: String(reply.raw.statusCode),
        seconds: reply.elapsedTime / 1000,
        ...traffic.since(request.raw.socket),
      })
      done()
    })
  }

  /** All figures in the text format, and its media type. */
  async render(): Promise<{ mediaType: string; text: string }> {
    const figures = await this.#load()
    return { mediaType: figures.mediaType, text: await figures.render(this.#underWay.count) }
  }

  #count(answered: Answered): void {
    if (this.#figures === undefined) this.#early.push(answered)
    else this.#figures.count(answered)
  }

  #load(): Promise<Figures> {
    this.#loading ??= openFigures(this.#service).then((figures) => {
      for (const answered of this.#early.splice(0)) figures.count(answered)
      this.#figures = figures
      return figures
    })
    return this.#loading
  }
}

async function openFigures(service: Service): Promise<Figures> {
  const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'ingot_http_request_duration_seconds',
    help: 'From the head of a request to the end of its answer, by route, method and status',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    registers,
  })
  const inFlight = new Gauge({
    name: 'ingot_http_requests_in_flight',
    help: 'Requests that are being answered',
    registers,
  })
  const received = new Counter({
    name: 'ingot_http_received_bytes_total',
    help: 'Bytes of requests, heads and bodies',
    registers,
  })
  const sent = new Counter({
    name: 'ingot_http_sent_bytes_total',
    help: 'Bytes of answers, heads and bodies',
    registers,
  })
  const tasks = new Gauge({
    name: 'ingot_tasks',
    help: 'Unfinished tasks, by type and status',
    labelNames: ['type', 'status'],
    registers,
  })
  const images = new Gauge({
    name: 'ingot_images',
    help: 'Images of the whole catalog, by status and visibility, counted every minute at most',
    labelNames: ['status', 'visibility'],
    registers,
  })
  const imageCounts = new ImageCounts(service)
  return {
    mediaType: registry.contentType,
    count: ({ method, route, status, seconds, bytesIn, bytesOut }) => {
      durations.observe({ method, route, status }, seconds)
      received.inc(bytesIn)
      sent.inc(bytesOut)
    },
    render: async (underWay) => {
      inFlight.set(underWay)
      tasks.reset()
      for (const [type, status] of await unfinishedTasks(service)) tasks.inc({ type, status })
      images.reset()
      for (const { count, ...labels } of await imageCounts.read()) images.set(labels, count)
      return await registry.metrics()
    },
  }
}

/** While the database is away there are none to tell. */
async function unfinishedTasks({ ledger, context }: Service): Promise<[string, string][]> {
  const unfinished = ['pending', 'processing'] as const
  try {
    const lists = await Promise.all(
      unfinished.map((status) => ledger.list({ status, hidden: true, limit: MAX_TASKS })),
    )
    return lists.flat().map(({ type, status }) => [type, status])
  } catch (error) {
    context.log.warn('metrics.no-tasks', { error: messageOf(error) })
    return []
  }
}

/** Bytes of each connection since it was looked at last. */
class Traffic {
  readonly #seen = new WeakMap<object, { bytesIn: number; bytesOut: number }>()

  /** Requests that were made up have a socket which counts nothing. */
  since(socket: { readonly bytesRead?: number; readonly bytesWritten?: number }) {
    const { bytesRead = 0, bytesWritten = 0 } = socket
    const now = { bytesIn: bytesRead, bytesOut: bytesWritten + movedTo(socket) }
    const before = this.#seen.get(socket)
    this.#seen.set(socket, now)
    return {
      bytesIn: Math.max(0, now.bytesIn - (before?.bytesIn ?? 0)),
      bytesOut: Math.max(0, now.bytesOut - (before?.bytesOut ?? 0)),
    }
  }
}
