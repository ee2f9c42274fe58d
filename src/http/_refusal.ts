import { STATUS_CODES } from 'node:http'
import { Failure, type FailureCode } from '../base/failure.ts'
import { FAILURES } from '../base/failures.ts'
import { chooseMediaType } from './_accept.ts'

/** An answer to a request that was not done. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Where the Image API answers something else than our table. Content that is refused is 415 there. */
const WIRE_STATUS: Partial<Record<FailureCode, number>> = {
  IMAGE_UNSAFE: 415,
  IMAGE_UNREADABLE: 415,
  IMAGE_TRUNCATED: 415,
  IMAGE_DIRTY: 415,
  FILE_SYSTEM_ENCRYPTED: 415,
  NO_SPACE: 413,
}
const RETRY_AFTER_S = '5'
/** Statuses that the Image API answers as plain text, whatever the client likes. */
const ALWAYS_TEXT: readonly number[] = [410, 413]

/** How to tell it. */
export interface Telling {
  readonly accept: string | undefined
  /** Of a 401, unless what was thrown brings one (`details.challenge`). */
  readonly challenge: string
  /** In JSON, whatever the client likes. */
  readonly alwaysJson?: boolean
}

/**
 * What to answer when `thrown` was thrown: in JSON, text or HTML as `accept` says; HTML if it says
 * nothing. What is no Failure is a bug: 500, and nothing of what it was.
 * Source: the shapes of WebOb, which OpenStack's clients read.
 */
export function toRefusal(
  thrown: unknown,
  { accept, challenge, alwaysJson = false }: Telling,
): Refusal {
  const { status, message, failure } = tell(thrown)
  const wanted = alwaysJson ? 'application/json' : mediaTypeFor(status, accept)
  const { mediaType, body } = shape(status, message, failure, wanted)
  return {
    status,
    headers: {
      ...headersOf(failure, status, challenge),
      'content-type': mediaType,
      'content-length': String(Buffer.byteLength(body)),
    },
    body,
  }
}

function tell(thrown: unknown): { status: number; message: string; failure: Failure | undefined } {
  if (thrown instanceof Failure) {
    const status = WIRE_STATUS[thrown.code] ?? FAILURES[thrown.code].status
    const message =
      thrown.fix === undefined ? thrown.message : `${ended(thrown.message)} ${thrown.fix}`
    return { status, message, failure: thrown }
  }
  const status = statusOfFramework(thrown)
  if (status !== undefined)
    return { status, message: (thrown as Error).message, failure: undefined }
  const message = 'The server has met a fault of its own; its log says which.'
  return { status: 500, message, failure: undefined }
}

/** fastify's own refusals: a URL that cannot be decoded, a content type that is none. */
function statusOfFramework(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('statusCode' in thrown))
    return undefined
  const { code, statusCode } = thrown
  const isRefusal = typeof code === 'string' && code.startsWith('FST_ERR_')
  const isClients = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  return isRefusal && isClients ? statusCode : undefined
}

function headersOf(
  failure: Failure | undefined,
  status: number,
  challenge: string,
): Record<string, string> {
  const headers: Record<string, string> = {}
  const { allow, acceptPatch, length, challenge: own } = failure?.details ?? {}
  if (status === 401) headers['www-authenticate'] = typeof own === 'string' ? own : challenge
  if (status === 503) headers['retry-after'] = RETRY_AFTER_S
  if (typeof allow === 'string') headers['allow'] = allow
  if (typeof acceptPatch === 'string') headers['accept-patch'] = acceptPatch
  if (status === 416 && typeof length === 'number') headers['content-range'] = `bytes */${length}`
  return headers
}

function mediaTypeFor(status: number, accept: string | undefined): string | undefined {
  if (ALWAYS_TEXT.includes(status)) return 'text/plain'
  return chooseMediaType(accept, ['text/html', 'application/json', 'text/plain'])
}

function shape(
  status: number,
  message: string,
  failure: Failure | undefined,
  wanted: string | undefined,
): { mediaType: string; body: string } {
  const title = STATUS_CODES[status] ?? 'Refused'
  const line = `${status} ${title}`
  if (wanted === 'application/json') {
    const more = failure && { failure: failure.code, ...(failure.fix && { fix: failure.fix }) }
    const body = JSON.stringify({ message, code: line, title, ...more })
    return { mediaType: 'application/json', body }
  }
  if (wanted === 'text/html') {
    const body = `<html>
 <head>
  <title>${line}</title>
 </head>
 <body>
  <h1>${line}</h1>
  ${escape(message)}<br /><br />
 </body>
</html>
`
    return { mediaType: 'text/html; charset=UTF-8', body }
  }
  return { mediaType: 'text/plain; charset=UTF-8', body: `${line}\n\n${message}\n` }
}

function ended(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char)
}
