import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendPieces } from '../bytes/send-pieces.ts'
import type { MadeView, UnmadeView } from '../formats/disk-views.ts'
import type { StreamedPieces } from '../formats/stream-view.ts'
import type { ViewListener } from '../formats/view-listener.ts'
import { type Wanted, parseRange } from './_byte-range.ts'
import { checkConditions, isSameContent } from './_conditions.ts'
import { toDisposition } from './_disposition.ts'
import { LARGEST_BUFFER } from './_download-memory.ts'
import { Leaving, waitWithClient, waitWithClientForEach } from './_leaving.ts'
import { ResponseSink } from './_response-sink.ts'

interface Resource {
  readonly mediaType: string
  /** Under which browsers save it. Any text: what a header cannot hold is replaced. Left out: they choose. */
  readonly fileName?: string | undefined
  /** Taken for the request's Range header. */
  readonly range?: string | undefined
  /** Bytes of each of the four buffers that a slow client keeps. Default 512 KiB. */
  readonly buffer?: number
  /** Who wants to hear all of the view with that ETag, when all of it is sent. */
  readonly listen?: ((etag: string) => ViewListener | undefined) | undefined
}

/** A view as a resource. What its bytes come from has to stay open until the answer is sent. */
export type ServedView = Resource & (MadeView | UnmadeView)

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
 * Of a view that is not made yet, HEAD tells what is known, and GET of the whole streams it as it is made,
 * without a length, if its format allows. All else waits until it is made, for as long as the client does; a
 * part too, since programs that take up a download again (`curl -C -`) give up when they are sent the whole.
 *
 * Rejects with what reading fails with: as long as `response.headersSent` is false something else can
 * be answered; else the connection has been cut, so that nobody takes a part for the whole.
 */
export async function sendView(
  request: IncomingMessage,
  response: ServerResponse,
  served: ServedView,
): Promise<Sent> {
  const { method } = request
  if (method !== 'GET' && method !== 'HEAD')
    return await end(request, response, 405, { Allow: 'GET, HEAD' })
  if (served.view === undefined) return await sendUnmade(request, response, served)
  return await sendMade(request, response, served)
}

async function sendMade(
  request: IncomingMessage,
  response: ServerResponse,
  served: Resource & MadeView,
): Promise<Sent> {
  const { method, headers } = request
  const { view, origins, range } = served
  const known = { ETag: view.etag, 'Accept-Ranges': 'bytes' }
  const status = statusOf(request, view.etag)
  if (status !== 200) return await end(request, response, status, known)

  const mayBePart = method === 'GET' && isSameContent(headers, view.etag)
  const wanted: Wanted = mayBePart
    ? parseRange(range ?? headers.range, view.length)
    : { kind: 'whole' }
  if (wanted.kind === 'impossible')
    return await end(request, response, 416, {
      ...known,
      'Content-Range': `bytes */${view.length}`,
    })
  const { from, to } = wanted.kind === 'part' ? wanted : { from: 0, to: view.length }
  const isPart = wanted.kind === 'part'
  const head = {
    ...known,
    ...describe(served),
    'Content-Length': to - from,
    ...(isPart && { 'Content-Range': `bytes ${from}-${to - 1}/${view.length}` }),
  }
  if (method === 'HEAD' || from === to)
    return await end(request, response, isPart ? 206 : 200, head)
  await using listener = to - from === view.length ? served.listen?.(view.etag) : undefined
  const parts = [{ pieces: view.pieces(from, to), origins }]
  return await sendBody(request, response, head, { ...served, parts, listener })
}

async function sendUnmade(
  request: IncomingMessage,
  response: ServerResponse,
  served: Resource & UnmadeView,
): Promise<Sent> {
  const { method, headers } = request
  const { etag, range = headers.range } = served
  const known = { ...(etag !== undefined && { ETag: etag }), 'Accept-Ranges': 'bytes' }
  const status = etag === undefined ? 200 : statusOf(request, etag)
  if (status !== 200) return await end(request, response, status, known)
  const head = { ...known, ...describe(served) }
  if (method === 'HEAD') return await end(request, response, 200, head)

  using leaving = new Leaving(request)
  const isPart = range !== undefined && (etag === undefined || isSameContent(headers, etag))
  try {
    const stream = isPart ? undefined : served.stream(leaving.gone)
    if (stream !== undefined) {
      const parts = waitWithClientForEach(request, stream)
      await using listener = etag === undefined ? undefined : served.listen?.(etag)
      return await sendBody(request, response, head, { ...served, parts, listener })
    }
    const made = await waitWithClient(request, served.whole(leaving.gone))
    return await sendMade(request, response, { ...served, ...made })
  } catch (error) {
    if (!leaving.gone.aborted) throw error
    return { status: 200, bytes: 0, whole: false }
  }
}

/** What the conditions of a request come to. */
function statusOf({ headers }: IncomingMessage, etag: string): 200 | 304 | 412 {
  const condition = checkConditions(headers, etag)
  if (condition === 'not as expected') return 412
  return condition === 'unchanged' ? 304 : 200
}

function describe({ mediaType, fileName }: Resource): Record<string, string> {
  return {
    'Content-Type': mediaType,
    ...(fileName !== undefined && { 'Content-Disposition': toDisposition(fileName) }),
  }
}

interface Body {
  readonly parts: Iterable<StreamedPieces> | AsyncIterable<StreamedPieces>
  readonly listener: ViewListener | undefined
  readonly buffer?: number
}

/** Sends the parts as the body, at the pace of the client. */
async function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  head: Readonly<Record<string, string | number>>,
  { parts, listener, buffer: chunk = LARGEST_BUFFER }: Body,
): Promise<Sent> {
  const status = 'Content-Range' in head ? 206 : 200
  setHead(response, status, head)
  using sink = new ResponseSink(request, response, listener)
  const { gone } = sink
  try {
    for await (const { pieces, origins } of parts)
      await sendPieces(pieces, origins, sink, { chunk, signal: gone })
    await finish(request, response)
    if (!gone.aborted) await listener?.end()
  } catch (error) {
    // what fails once the client has left fails because it has left
    if (gone.aborted) return { status, bytes: sink.taken, whole: false }
    if (response.headersSent) response.destroy()
    else for (const name of Object.keys(head)) response.removeHeader(name)
    throw error
  }
  return { status, bytes: sink.taken, whole: !gone.aborted }
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
