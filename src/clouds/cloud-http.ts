/**
 * HTTP to a cloud: connections that are kept, silence that ends, certificates as they are configured. Redirects
 * are answers; statuses are the caller's matter. Nothing here logs, for headers hold tokens.
 */
import { type ClientRequest, Agent, type IncomingMessage, request as askPlain } from 'node:http'
import { Agent as SecureAgent, request as askSecure } from 'node:https'
import { rootCertificates } from 'node:tls'
import { Failure, systemCode } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { sendBody } from '../bytes/send-body.ts'
import type { Trust } from './cloud.ts'

export interface CloudRequest {
  readonly url: string
  /** Default GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Its length is told. Pieces are sent one after the other. */
  readonly body?: Uint8Array | readonly Uint8Array[]
  /** In place of `body`: read as the server takes it, and of this size if that is known. */
  readonly stream?: {
    readonly content: AsyncIterable<Uint8Array>
    readonly size?: number | undefined
  }
  readonly signal?: AbortSignal
  /** How long the other side may be silent, if not as long as usual. */
  readonly timeoutMs?: number
}

export interface CloudHttp extends AsyncDisposable {
  /**
   * The answer, once its headers are there. Who asked reads its body to the end, or destroys it.
   * System errors of the connection fly; silence is an ETIMEDOUT.
   */
  send(request: CloudRequest): Promise<IncomingMessage>
}

export interface CloudHttpOptions {
  readonly trust?: Trust | undefined
  /** How long the other side may be silent. Default 30 s. */
  readonly timeoutMs?: number | undefined
  /** Connections at a time to one server. Default 32. */
  readonly connections?: number | undefined
}

/** Opens a client; disposing of it ends its connections. */
export function openCloudHttp(options: CloudHttpOptions = {}): CloudHttp {
  const { trust = {}, timeoutMs: timeout = 30_000, connections: maxSockets = 32 } = options
  const kept = { keepAlive: true, maxSockets, maxFreeSockets: 8, timeout }
  const { authorities, insecure = false } = trust
  const plain = new Agent(kept)
  const secure = new SecureAgent({
    ...kept,
    rejectUnauthorized: !insecure,
    ...(authorities !== undefined && { ca: [...rootCertificates, authorities] }),
  })
  const start = (request: CloudRequest): ClientRequest => {
    const { url, method = 'GET', headers = {}, signal, timeoutMs = timeout } = request
    const { protocol } = new URL(url)
    const settings = { method, headers, timeout: timeoutMs, ...(signal && { signal }) }
    if (protocol === 'https:') return askSecure(url, { ...settings, agent: secure })
    if (protocol === 'http:') return askPlain(url, { ...settings, agent: plain })
    throw new Failure('CONFIG_INVALID', `${url}: wanted an address with https:// or http://`)
  }
  return {
    send: async (request) => {
      const pieces = piecesOf(request.body)
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
      const headers = { 'user-agent': 'ingot', ...request.headers }
      const size = request.stream?.size ?? (request.body === undefined ? undefined : length)
      const announced = size === undefined ? {} : { 'content-length': String(size) }
      const asked = start({ ...request, headers: { ...headers, ...announced } })
      if (request.stream) return await sendBody(asked, request.stream.content, answerTo(asked))
      for (const piece of pieces) asked.write(piece)
      asked.end()
      return await answerTo(asked)
    },
    [Symbol.asyncDispose]: async () => {
      plain.destroy()
      secure.destroy()
    },
  }
}

function piecesOf(body: CloudRequest['body']): readonly Uint8Array[] {
  if (body === undefined) return []
  return body instanceof Uint8Array ? [body] : body
}

async function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  return await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', (response) => {
      response.on('error', () => {}) // whoever reads it sees it; one that is dropped must not end the process
      resolve(response)
    })
    asked.on('error', reject)
    asked.on('timeout', () =>
      asked.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
    )
  })
}

/** The rest of an answer, of which no more than `limit` bytes are taken. */
export async function readBody(response: IncomingMessage, limit = 16 * MiB): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw new Error(`an answer of more than ${limit} bytes`)
    chunks.push(chunk)
  }
  if (!response.complete)
    throw Object.assign(new Error('the answer ended too early'), { code: 'ECONNRESET' })
  return Buffer.concat(chunks)
}

/** Whether an error says that nobody answers (now), so that to ask again may help. */
export function isConnectionError(error: unknown): boolean {
  const code = systemCode(error)
  return code !== undefined && CONNECTION_CODES.has(code)
}

const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
])
