/**
 * A form as browsers and `curl -F` send it, of a body that is there whole. Source: RFC 7578, RFC 2046 section 5.1.1.
 */
import { Failure } from '../base/failure.ts'
import { parseText } from './_body.ts'

const MAX_PARTS = 256
const CRLF = '\r\n'

/** The boundary that a Content-Type names. Fails with REQUEST_INVALID. */
export function boundaryOf(contentType: string): string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (boundary !== undefined) return boundary
  throw invalid('its Content-Type names no boundary')
}

/** Names and values, in order; of files the content, as text. Fails with REQUEST_INVALID. */
export function parseMultipart(
  body: Uint8Array,
  boundary: string,
): [name: string, value: string][] {
  const text = parseText(body)
  const mark = `--${boundary}`
  const fields: [string, string][] = []
  let at = text.startsWith(mark) ? 0 : text.indexOf(CRLF + mark) + CRLF.length
  if (!text.startsWith(mark, at)) throw invalid('it does not hold its boundary')
  for (;;) {
    at += mark.length
    if (text.startsWith('--', at)) return fields
    const begin = /^[ \t]*\r\n/.exec(text.slice(at, at + 256))?.[0].length
    const end = text.indexOf(CRLF + mark, at)
    if (begin === undefined || end < 0) throw invalid('it is cut short')
    fields.push(parsePart(text.slice(at + begin, end)))
    if (fields.length > MAX_PARTS) throw invalid(`it has more than ${MAX_PARTS} parts`)
    at = end + CRLF.length
  }
}

/** Header lines, an empty one, the value. */
function parsePart(part: string): [string, string] {
  const end = part.startsWith(CRLF) ? 0 : part.indexOf(CRLF + CRLF)
  if (end < 0) throw invalid('a part has no end of its headers')
  const head = end === 0 ? '' : part.slice(0, end)
  const value = part.slice(end === 0 ? CRLF.length : end + 2 * CRLF.length)
  const disposition = head.split(CRLF).find((line) => /^content-disposition\s*:/i.test(line)) ?? ''
  const [, quoted, plain] = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(disposition) ?? []
  const name = quoted ?? plain
  if (name === undefined) throw invalid('a part has no name')
  // Source: the WHATWG's rules for names that hold quotes or line ends, and what older clients do.
  return [unescapeName(name), value]
}

function unescapeName(name: string): string {
  return name.replaceAll(/%22|%0D|%0A|\\(.)/gi, (found, char: string | undefined) =>
    char === undefined ? decodeURIComponent(found) : char,
  )
}

function invalid(message: string): Failure {
  return new Failure('REQUEST_INVALID', `the multipart body cannot be read: ${message}`)
}
