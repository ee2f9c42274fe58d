/** What fakes of object stores share: ranges, digests, and things that go wrong when a test says so. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** What goes wrong from now on. */
export interface Trouble {
  /** So many answers are 503. */
  failNext: number
  /** So many contents end in the middle, and the connection with them. */
  breakNext: number
  /** Bytes that may be kept. */
  quota: number
}

export function md5Of(bytes: Uint8Array | string): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** Answers GET and HEAD of an object. False: the range lies outside, and nothing was answered. */
export function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, etag, at }: { bytes: Buffer; etag: string; at: Date },
  trouble: Trouble,
  more: Record<string, string> = {},
): boolean {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const from = Number(range?.[1] ?? 0)
  const last = range?.[2] ? Math.min(Number(range[2]), bytes.length - 1) : bytes.length - 1
  if (range && (from >= bytes.length || last < from)) return false
  const content = bytes.subarray(from, last + 1)
  response.writeHead(range ? 206 : 200, {
    etag,
    'last-modified': at.toUTCString(),
    'content-length': String(content.length),
    ...(range && { 'content-range': `bytes ${from}-${last}/${bytes.length}` }),
    ...more,
  })
  if (request.method === 'HEAD') response.end()
  else if (trouble.breakNext > 0) {
    trouble.breakNext--
    response.write(content.subarray(0, content.length >> 1), () => request.socket.destroy())
  } else response.end(content)
  return true
}
