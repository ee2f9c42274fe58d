import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Origin } from '../bytes/piece.ts'
import { sendPieces, type Sink } from '../bytes/send-pieces.ts'
import type { Source } from '../bytes/source.ts'
import type { View } from '../formats/view.ts'
import { type Wanted, parseRange } from './_byte-range.ts'
import { checkConditions, isSameContent } from './_conditions.ts'
import { toDisposition } from './_disposition.ts'
import { LARGEST_BUFFER } from './_download-memory.ts'

/** A view as a resource. */
export interface ServedView {
  readonly view: View
  /** Where the bytes of its pieces stand. They have to stay open until the answer is sent. */
  readonly origins: Readonly<Partial<Record<Origin, Source>>>
  readonly mediaType: string
  /** Under which browsers save it. Any text: what a header cannot hold is replaced. Left out: they choose. */
  readonly fileName?: string | undefined
  /** Taken for the request's Range header. */
  readonly range?: string | undefined
  /** Bytes of each of the four buffers that a slow client keeps. Default 512 KiB. */
  readonly buffer?: number
}

/** What came of a request. */
export interface Sent {
  readonly status: 200 | 206 | 304 | 405 | 412 | 416
  /** Bytes of the content that the client was given. */
  readonly bytes: number
  /** False when the client left before it had everything. */
  readonly whole: boolean
}

/**
 * Answers a GET or HEAD of a view: the whole, one range of bytes, or that nothing changed, with exact
 * length and strong ETag. Several ranges at once are answered with the whole. Headers that were set
 * before stay. Nothing is read ahead of a slow client beyond four buffers; when it leaves, reading ends.
 *
 * Rejects with what reading fails with: as long as `response.headersSent` is false something else can
 * be answered; else the connection has been cut, so that nobody takes a part for the whole.
 */
export async function sendView(
  request: IncomingMessage,
  response: ServerResponse,
  { view, origins, mediaType, fileName, range, buffer = LARGEST_BUFFER }: ServedView,
): Promise<Sent> {
  const { method, headers } = request
  if (method !== 'GET' && method !== 'HEAD')
    return end(request, response, 405, { Allow: 'GET, HEAD' })
  const known = { ETag: view.etag, 'Accept-Ranges': 'bytes' }
  const condition = checkConditions(headers, view.etag)
  if (condition === 'not as expected') return end(request, response, 412, known)
  if (condition === 'unchanged') return end(request, response, 304, known)

  const mayBePart = method === 'GET' && isSameContent(headers, view.etag)
  const wanted: Wanted = mayBePart
    ? parseRange(range ?? headers.range, view.length)
    : { kind: 'whole' }
  if (wanted.kind === 'impossible')
    return end(request, response, 416, { ...known, 'Content-Range': `bytes */${view.length}` })
  const { from, to } = wanted.kind === 'part' ? wanted : { from: 0, to: view.length }
  const content = {
    ...known,
    'Content-Type': mediaType,
    ...(fileName !== undefined && { 'Content-Disposition': toDisposition(fileName) }),
    'Content-Length': to - from,
    ...(wanted.kind === 'part' && { 'Content-Range': `bytes ${from}-${to - 1}/${view.length}` }),
  }
  const status = wanted.kind === 'part' ? 206 : 200
  if (method === 'HEAD' || from === to) return end(request, response, status, content)
  setHead(response, status, content)
  try {
    return {
      status,
      ...(await sendBody(request, response, view.pieces(from, to), origins, buffer)),
    }
  } catch (error) {
    if (response.headersSent) response.destroy()
    else for (const name of Object.keys(content)) response.removeHeader(name)
    throw error
  }
}

/** Sends the pieces as the body, at the pace of the client. */
async function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  pieces: ReturnType<View['pieces']>,
  origins: ServedView['origins'],
  buffer: number,
): Promise<Pick<Sent, 'bytes' | 'whole'>> {
  using sink = new ResponseSink(request, response)
  try {
    await sendPieces(pieces, origins, sink, { chunk: buffer, signal: sink.gone })
    await finish(request, response)
  } catch (error) {
    // what fails once the client has left fails because it has left
    if (!sink.gone.aborted) throw error
  }
  return { bytes: sink.taken, whole: !sink.gone.aborted }
}

/**
 * A response as the end of the way of content. A write is done when the kernel has the bytes: only
 * then may their buffer hold others.
 */
class ResponseSink implements Sink {
  /** Aborted when the client has left. */
  readonly gone: AbortSignal
  /** Bytes that the kernel took. */
  taken = 0
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #controller = new AbortController()
  readonly #waiting = new Set<(error: Error) => void>()

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request
    this.#response = response
    this.gone = this.#controller.signal
    // the connection, not the response: one that waits for its turn is never told of the end
    request.socket.once('close', this.#leave)
    response.on('error', this.#leave)
    if (request.socket.destroyed) this.#leave()
  }

  [Symbol.dispose](): void {
    this.#request.socket.off('close', this.#leave)
  }

  async write(bytes: Uint8Array): Promise<void> {
    let cancel: ((error: Error) => void) | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.gone.aborted) return reject(new Error('the client has left'))
        this.#waiting.add((cancel = reject))
        this.#response.write(bytes, (error) => (error ? this.#leave() : resolve()))
      })
      this.taken += bytes.length
    } finally {
      if (cancel !== undefined) this.#waiting.delete(cancel)
    }
  }

  /** Ends every write: those to a closed connection are never called back. */
  readonly #leave = (): void => {
    this.#controller.abort()
    for (const cancel of this.#waiting) cancel(new Error('the client has left'))
  }
}

function setHead(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.statusCode = status // not written yet: a failure of the first read can still be told
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}

async function end(
  request: IncomingMessage,
  response: ServerResponse,
  status: Sent['status'],
  headers: Readonly<Record<string, string | number>>,
): Promise<Sent> {
  setHead(response, status, headers)
  await finish(request, response)
  return { status, bytes: 0, whole: true }
}

/** Ends the answer; resolves when the kernel has it, or the client has left. */
async function finish({ socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (socket.destroyed) return
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('close', done)
      resolve()
    }
    socket.once('close', done)
    response.end(done)
  })
}
