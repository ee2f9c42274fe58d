/** What stands at an address of the web, as the first answer named it; later answers must be of the same. */
import type { IncomingMessage } from 'node:http'
import { Failure, isFailure, messageOf } from '../base/failure.ts'

/** Asks for the content of one address. Fails as a store does. */
export type AskContent = (headers: Readonly<Record<string, string>>) => Promise<IncomingMessage>

export interface WebContent {
  readonly url: string
  readonly size: number
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

/** The content that an answer is of: all of it, or a range. Undefined if it does not say how long it is. */
export function contentOf(url: string, response: IncomingMessage): WebContent | undefined {
  const { etag, 'last-modified': lastModified } = response.headers
  const isPart = response.statusCode !== 200
  const told = isPart ? rangeOf(response)?.total : response.headers['content-length']
  const size = Number(told ?? Number.NaN)
  return Number.isSafeInteger(size) ? { url, size, etag, lastModified } : undefined
}

/** Asks the server itself to refuse another content. Source: RFC 9110, 13.1: weak tags never match. */
export function conditionOf({ etag, lastModified }: WebContent): Record<string, string> {
  if (etag?.startsWith('"')) return { 'if-match': etag }
  return lastModified === undefined ? {} : { 'if-unmodified-since': lastModified }
}

/** Fails with OBJECT_NOT_FOUND unless an answer is of this very content. */
export function checkSame(content: WebContent, response: IncomingMessage): void {
  const found = contentOf(content.url, response)
  const isSame =
    found?.size === content.size &&
    found.etag === content.etag &&
    found.lastModified === content.lastModified
  if (response.statusCode !== 412 && isSame) return
  response.destroy()
  throw new Failure('OBJECT_NOT_FOUND', 'it has changed since it was opened')
}

/** `Content-Range: bytes 0-99/1000`; of a range that is not there it has a star for the range. */
export function rangeOf({
  headers,
}: IncomingMessage): { start: number; total: string } | undefined {
  const parts = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers['content-range'] ?? '')
  return parts ? { start: Number(parts[1] ?? Number.NaN), total: parts[2] ?? '' } : undefined
}

/** What went wrong on the way, as the failure of a store. */
export function asWebFailure(error: unknown): Error {
  if (isFailure(error) && error.code !== 'DOWNLOAD_FAILED') return error
  return new Failure('STORE_AWAY', messageOf(error), { cause: error })
}
