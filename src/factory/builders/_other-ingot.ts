/**
 * Another Ingot, as somebody who hands builds to it reads its wire (`/ingot/v1/builds`, `/v2/images`): a thin reader, of what
 * is needed here. What it says is not trusted: lengths are bounded, and its words are only shown.
 */
import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { type FailureCode, Failure, messageOf, systemCode } from '../../base/failure.ts'
import { KiB, MiB } from '../../base/units.ts'
import { readEvents, type StreamEvent } from '../../bytes/event-stream.ts'
import { isConnectionError, openCloudHttp, readBody } from '../../clouds/cloud-http.ts'

export interface OtherIngotOptions {
  /** Base address. */
  readonly endpoint: string
  readonly token: string | undefined
  readonly signal: AbortSignal
  /** The first pause before something is tried again. Default 2 s. */
  readonly againMs?: number
}

/** What we read of a build there. */
export interface OtherBuild {
  readonly id: string
  readonly status: string
  readonly activity: string
  readonly percent: number
  readonly error: string | null
  readonly imageId: string | null
  readonly parameters: Readonly<Record<string, unknown>>
}

/** A stream of events says something more often than this. */
const SILENCE_MS = 60_000
/** Downloads that break are taken up again so often; and what cannot be reached is asked again. */
const TRIES = 6
const AGAIN_MS = 2000
const MAX_DOCUMENT = 64 * MiB
const MAX_WORDS = 2 * KiB

export class OtherIngot implements AsyncDisposable {
  readonly #options: OtherIngotOptions
  readonly #http = openCloudHttp({ timeoutMs: SILENCE_MS })

  constructor(options: OtherIngotOptions) {
    this.#options = { ...options, endpoint: options.endpoint.replace(/\/+$/, '') }
  }

  /** Fails with REQUEST_INVALID, CLOUD_DENIED, CLOUD_AWAY, CLOUD_FAILED, as all below. */
  async order(order: object): Promise<OtherBuild> {
    return toBuild(await this.#json('POST', '/ingot/v1/builds', order))
  }

  async show(id: string): Promise<OtherBuild> {
    return toBuild(await this.#patiently(() => this.#json('GET', pathOf(id))))
  }

  /** The newest build that was ordered with this value of a parameter; undefined: none is there. */
  async findBy(parameter: string, value: string): Promise<OtherBuild | undefined> {
    const { builds = [] } = (await this.#json('GET', '/ingot/v1/builds?type=base&limit=1000')) as {
      builds?: unknown[]
    }
    return builds.map(toBuild).find((one) => one.parameters[parameter] === value)
  }

  async cancel(id: string): Promise<void> {
    await this.#json('POST', `${pathOf(id)}/cancel`)
  }

  async delete(id: string): Promise<void> {
    await this.#json('DELETE', pathOf(id))
  }

  /** Undefined: it has none. */
  async document(id: string, kind: string): Promise<Buffer | undefined> {
    const ask = async () =>
      await readBody(await this.#send('GET', `${pathOf(id)}/documents/${kind}`), MAX_DOCUMENT)
    try {
      return await this.#patiently(ask)
    } catch (error) {
      if (error instanceof Failure && error.code === 'CLOUD_NOT_FOUND') return undefined
      throw error
    }
  }

  /** What happens to a build, from an entry of its log on, until it has ended, also over connections that break. */
  async *follow(id: string, after: number): AsyncGenerator<StreamEvent> {
    let from = after
    for (let tries = 1; ; tries++) {
      try {
        const headers = { 'last-event-id': String(from), accept: 'text/event-stream' }
        const response = await this.#send('GET', `${pathOf(id)}/events`, { headers })
        for await (const event of readEvents(response)) {
          tries = 0
          if (event.id !== undefined) from = Number(event.id)
          if (event.event === 'end') return
          yield event
        }
      } catch (error) {
        await this.#rest(error, tries)
      }
    }
  }

  /** Fetches the data of an image in a format into a file; a download that breaks is taken up where it was. */
  async saveImage(
    imageId: string,
    path: string,
    onBytes: (done: number, total: number | undefined) => void,
  ): Promise<void> {
    const place = `/v2/images/${encodeURIComponent(imageId)}/file?disk_format=qcow2&compressed=true`
    let done = 0
    let etag: string | undefined
    for (let tries = 1; ; tries++) {
      const isRest = done > 0 && etag !== undefined
      const range = isRest ? { range: `bytes=${done}-`, 'if-range': etag ?? '' } : {}
      try {
        const response = await this.#send('GET', place, { headers: { accept: '*/*', ...range } })
        if (response.statusCode !== 206) done = 0
        else if (!response.headers['content-range']?.startsWith(`bytes ${done}-`))
          throw new Failure(
            'CLOUD_FAILED',
            `${this.#options.endpoint} sends another part of the image`,
          )
        etag = response.headers.etag
        const length = response.headers['content-length']
        const total = length === undefined ? undefined : done + Number(length)
        response.on('data', (chunk: Buffer) => onBytes((done += chunk.length), total))
        const file = createWriteStream(path, { flags: done > 0 ? 'a' : 'w' })
        return await pipeline(response, file, { signal: this.#options.signal })
      } catch (error) {
        await this.#rest(error, tries)
        // What came last need not have been written.
        done = await sizeOf(path)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]()
  }

  /** What is only asked for is asked for again: an hour of work there must not be lost to one broken connection. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++)
      try {
        return await ask()
      } catch (error) {
        await this.#rest(error, tries)
      }
  }

  /** Waits before something is tried again; throws what will not pass. */
  async #rest(error: unknown, tries: number): Promise<void> {
    const { signal, endpoint, againMs = AGAIN_MS } = this.#options
    signal.throwIfAborted()
    const isAway = error instanceof Failure && error.code === 'CLOUD_AWAY'
    if (tries >= TRIES || !(isAway || isConnectionError(error)))
      throw isConnectionError(error) ? away(endpoint, error) : error
    await wait(againMs * tries, undefined, { signal })
  }

  async #json(method: string, path: string, body?: object): Promise<unknown> {
    const text = (await readBody(await this.#send(method, path, { body }))).toString()
    try {
      return text === '' ? undefined : JSON.parse(text)
    } catch (cause) {
      const { endpoint } = this.#options
      throw new Failure('CLOUD_FAILED', `${endpoint} does not answer as an Ingot does`, { cause })
    }
  }

  async #send(
    method: string,
    path: string,
    more: { readonly headers?: Record<string, string>; readonly body?: object | undefined } = {},
  ): Promise<IncomingMessage> {
    const { endpoint, token, signal } = this.#options
    const headers = {
      accept: 'application/json',
      ...(token !== undefined && { 'x-auth-token': token }),
      ...(more.body !== undefined && { 'content-type': 'application/json' }),
      ...more.headers,
    }
    const body = more.body === undefined ? {} : { body: Buffer.from(JSON.stringify(more.body)) }
    let response: IncomingMessage
    try {
      response = await this.#http.send({ method, url: endpoint + path, headers, signal, ...body })
    } catch (error) {
      signal.throwIfAborted()
      throw isConnectionError(error) ? away(endpoint, error) : error
    }
    const { statusCode: status = 0 } = response
    if (status < 300) return response
    throw refusalOf(endpoint, status, (await readBody(response, MiB)).toString())
  }
}

const CODES: Readonly<Record<number, FailureCode>> = {
  400: 'REQUEST_INVALID',
  401: 'CLOUD_DENIED',
  403: 'CLOUD_DENIED',
  404: 'CLOUD_NOT_FOUND',
  409: 'BUILD_STATE',
  429: 'CLOUD_AWAY',
  502: 'CLOUD_AWAY',
  503: 'CLOUD_AWAY',
}

/** What it says, as our failure; its message is shown as text. */
function refusalOf(endpoint: string, status: number, text: string): Failure {
  let message = ''
  try {
    const parsed = JSON.parse(text) as { message?: unknown }
    if (typeof parsed.message === 'string') message = parsed.message
  } catch {
    // no JSON: nothing that we could show
  }
  const words = message.slice(0, MAX_WORDS) || 'it says no more'
  return new Failure(CODES[status] ?? 'CLOUD_FAILED', `${endpoint} answers ${status}: ${words}`, {
    details: { status },
  })
}

function away(endpoint: string, cause: unknown): Failure {
  return new Failure('CLOUD_AWAY', `${endpoint}: ${messageOf(cause)}`, { cause })
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    (error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
      return 0
    },
  )
}

function pathOf(id: string): string {
  return `/ingot/v1/builds/${encodeURIComponent(id)}`
}

/** What is not as it should be is taken for nothing. */
export function toBuild(value: unknown): OtherBuild {
  const build = isObject(value) ? value : {}
  const text = (name: string) => {
    const found = build[name]
    return typeof found === 'string' ? found.slice(0, MAX_WORDS) : null
  }
  const { percent, parameters } = build
  return {
    id: text('id') ?? '',
    status: text('status') ?? '',
    activity: text('activity') ?? '',
    percent: typeof percent === 'number' ? Math.min(Math.max(percent, 0), 100) : 0,
    error: text('error'),
    imageId: text('image_id'),
    parameters: isObject(parameters) ? parameters : {},
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
