/**
 * A web server at the end of one stream: QEMU hands over what comes on the guest's connections to one address,
 * without saying where one begins or ends. So each answer says its length and that the connection closes, and the
 * guest ends it; what is left of a question that was given up is passed over.
 */
import type { Duplex } from 'node:stream'

const MAX_QUESTION = 16 * 1024
const END = '\r\n\r\n'

/** Answers GET and HEAD on `stream` for as long as it lasts. */
export function answerRequests(
  stream: Duplex,
  answer: (path: string) => Uint8Array | undefined,
): void {
  let pending = ''
  stream.on('data', (chunk: Buffer) => {
    pending = (pending + chunk.toString('latin1')).slice(-MAX_QUESTION)
    for (let end = pending.indexOf(END); end >= 0; end = pending.indexOf(END)) {
      stream.write(respond(pending.slice(0, end), answer))
      pending = pending.slice(end + END.length)
    }
  })
  stream.on('error', () => {}) // QEMU went away
}

/** The answer to a question's head; a question that is none is answered 400. */
export function respond(
  head: string,
  answer: (path: string) => Uint8Array | undefined,
): Uint8Array {
  // The last one, if others were begun and given up.
  const line = [...head.matchAll(/(GET|HEAD) (\S{1,2048}) HTTP\/1\.[01](?=\r|$)/g)].at(-1)
  const path = line?.[2] === undefined ? undefined : pathOf(line[2])
  const body = path === undefined ? undefined : answer(path)
  const status = path === undefined ? '400 Bad Request' : body ? '200 OK' : '404 Not Found'
  const lines = [
    `HTTP/1.1 ${status}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body?.length ?? 0}`,
    'Connection: close',
  ]
  const bytes = Buffer.from(`${lines.join('\r\n')}${END}`)
  return body === undefined || line?.[1] === 'HEAD' ? bytes : Buffer.concat([bytes, body])
}

/** The path without a query, of a question that may name the host too. */
function pathOf(asked: string): string | undefined {
  const path = asked.replace(/^https?:\/\/[^/]+/i, '').replace(/\?.*$/s, '')
  return path.startsWith('/') ? path : undefined
}
