/**
 * One image over HTTP, in every format: `/` lists them, `/disk.qcow2` is one. Formats that are
 * computed from the map alone are there at once; compressed ones are made with the first request, and most of
 * them stream meanwhile. The image service answers for its images with the same `sendView`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, messageOf, systemCode } from '../base/failure.ts'
import { FAILURES } from '../base/failures.ts'
import type { Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import { DiskViews } from '../formats/disk-views.ts'
import type { ViewFormat } from '../formats/view.ts'
import { VIEW_FORMATS } from '../formats/views.ts'
import { type ListedFormat, type Listing, toPage } from './listing.ts'
import { sendView, type ServedView } from './send-view.ts'

/** What is served. It stays the caller's, who closes it after the server. */
export interface ServedDisk {
  /** Of files that browsers save, without the ending. */
  readonly name: string
  readonly disk: Source
  readonly map: DiskMap
  /** See `ViewInput`. */
  readonly identity: string
  /** Changes with every byte of the disk, as a strong ETag does, and the name of what is kept of it. */
  readonly contentDigest: string
  /** Asked before each answer: fails when the content is no longer what the digest says. */
  readonly demandUnchanged?: () => Promise<void>
}

export interface ViewServerOptions {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Which formats are offered; all when left out. */
  readonly formats?: readonly ViewFormat[]
  /** A directory where compressed clusters are kept. */
  readonly storeDirectory: string
  /** Of the compression; see `ClusterStoreOptions`. */
  readonly level?: number | undefined
}

export interface ViewServer extends AsyncDisposable {
  /** `http://127.0.0.1:8080/`. */
  readonly url: string
  listing(): Listing
}

/** A client that takes nothing for so long is gone; a slow one is not. */
const STALL_MS = 120_000
const HEADERS_MS = 30_000
/** Each may hold 2 MiB. */
const MAX_CLIENTS = 64

/**
 * Starts serving. Closing the server ends every connection, stops what is being compressed, and waits
 * until nothing is read from the disk any more.
 * Fails with ADDRESS_IN_USE, USAGE (no such address here).
 */
export async function openViewServer(
  served: ServedDisk,
  options: ViewServerOptions,
  context: Context,
): Promise<ViewServer> {
  const handler = new Handler(served, options, context)
  handler.listing() // what follows from the map alone is made here, so that nobody waits for it
  const underWay = new Set<Promise<void>>()
  const server = createServer(
    // The time for a request is the time to send one; answers may take as long as they like.
    { headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS, keepAliveTimeout: HEADERS_MS },
    (request, response) => {
      const answered = handler.answer(request, response).finally(() => underWay.delete(answered))
      underWay.add(answered)
    },
  )
  server.setTimeout(STALL_MS)
  server.maxConnections = MAX_CLIENTS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port, options.host, resolve)
  }).catch((error: unknown) => {
    throw asListenFailure(error, options)
  })
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}/`,
    listing: () => handler.listing(),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await handler[Symbol.asyncDispose]()
      await Promise.all([closed, ...underWay])
    },
  }
}

function asListenFailure(error: unknown, { host, port }: ViewServerOptions): Error {
  const code = systemCode(error)
  const options = { details: { host, port }, cause: error }
  if (code === 'EADDRINUSE')
    return new Failure('ADDRESS_IN_USE', `${host}:${port} is in use`, options)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new Failure('USAGE', `${host} is no address of this host`, options)
  return asFileFailure(error, `${host}:${port}`)
}

class Handler implements AsyncDisposable {
  readonly #served: ServedDisk
  readonly #context: Context
  readonly #end = new AbortController()
  readonly #localOnly: boolean
  readonly #views: DiskViews
  /** By the path at which each stands. */
  readonly #formats: ReadonlyMap<string, ViewFormat>

  constructor(served: ServedDisk, options: ViewServerOptions, context: Context) {
    const { disk, map, identity, contentDigest } = served
    this.#served = served
    this.#context = { ...context, signal: AbortSignal.any([context.signal, this.#end.signal]) }
    this.#localOnly = isLoopback(options.host)
    const { storeDirectory: directory, level } = options
    const shared = { disk, map, identity, contentDigest, directory, level, yields: true }
    this.#views = new DiskViews(shared, this.#context)
    const formats = options.formats ?? VIEW_FORMATS
    this.#formats = new Map(formats.map((format) => [pathOf(format), format]))
  }

  /** Stops what is being made; who waits for it is told so. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#views[Symbol.asyncDispose]()
  }

  listing(): Listing {
    const { name, map } = this.#served
    const formats = [...this.#formats].map(([url, format]) => this.#list(url, format))
    return { name, virtualSize: map.size, dataSize: map.dataUnits * map.unit, formats }
  }

  #list(url: string, format: ViewFormat): ListedFormat {
    const { name, summary } = format
    try {
      const view = this.#views.known(format)
      if (view !== undefined)
        return { name, summary, url, state: 'ready', length: view.length, etag: view.etag }
      const atWork = this.#views.progress(format) !== undefined
      return { name, summary, url, state: atWork ? 'being made' : 'on request' }
    } catch (error) {
      return { name, summary, url, state: 'impossible', reason: messageOf(error) }
    }
  }

  /** Never fails: what goes wrong is answered, or the connection ends. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { log } = this.#context
    const { method, url = '/' } = request
    try {
      this.#checkHost(request)
      const path = url.split('?')[0] ?? '/'
      if (path === '/') return this.#answerListing(request, response)
      await this.#served.demandUnchanged?.()
      const served = await this.#find(path)
      const { status, bytes, whole } = await sendView(request, response, served)
      log.info('view.sent', { method, path, status, bytes, whole })
    } catch (error) {
      if (!(error instanceof Failure)) log.error('view.failed', { url, message: messageOf(error) })
      else log.warn('view.refused', { url, code: error.code, message: error.message })
      if (!response.headersSent) refuse(response, error)
    }
  }

  /** A web page elsewhere that a browser takes for one of this host must not read disks. */
  #checkHost({ headers }: IncomingMessage): void {
    const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
    if (!this.#localOnly || name === 'localhost' || isIP(name) !== 0) return
    throw new Failure('NOT_SERVED', `this server is not ${name || 'without a name'}`)
  }

  #answerListing({ method, headers }: IncomingMessage, response: ServerResponse): void {
    if (method !== 'GET' && method !== 'HEAD')
      return void response.writeHead(405, { Allow: 'GET, HEAD' }).end()
    const html = headers.accept?.includes('text/html') ?? false
    const listing = this.listing()
    const body = html ? toPage(listing) : `${JSON.stringify(listing, undefined, 2)}\n`
    response.writeHead(200, {
      'Content-Type': `${html ? 'text/html' : 'application/json'}; charset=utf-8`,
      'Content-Length': Buffer.byteLength(body),
      'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
      'Cache-Control': 'no-cache',
      Vary: 'Accept',
    })
    response.end(method === 'HEAD' ? undefined : body)
  }

  /** Fails with NOT_SERVED, VIEW_IMPOSSIBLE. */
  async #find(path: string): Promise<ServedView> {
    const format = this.#formats.get(path)
    if (format === undefined) throw new Failure('NOT_SERVED', `there is nothing at ${path}`)
    const fileName = path.slice(1).replace(/^disk/, () => this.#served.name)
    return { ...(await this.#views.open(format)), mediaType: format.mediaType, fileName }
  }
}

/** `/disk.qcow2`; formats that share an ending with another before them say their name too. */
function pathOf(format: ViewFormat): string {
  const ending = format.endings[0] ?? format.name
  const first = VIEW_FORMATS.find(({ endings }) => endings[0] === ending)
  return first === format ? `/disk.${ending}` : `/disk-${format.name}.${ending}`
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function refuse(response: ServerResponse, error: unknown): void {
  const known = error instanceof Failure ? error : undefined
  const body = `${JSON.stringify({
    error: known
      ? { code: known.code, title: FAILURES[known.code].title, message: known.message }
      : { code: 'INTERNAL', title: 'A fault of the server', message: 'see its log' },
  })}\n`
  response.writeHead(known ? FAILURES[known.code].status : 500, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
