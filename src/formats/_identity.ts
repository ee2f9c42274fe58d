/**
 * The names that formats write into their files: UUIDs, content ids, time stamps. All follow from what
 * the content is, never from a clock or a die, so that every server gives out the same bytes.
 */
import { createHash } from 'node:crypto'
import type { ViewFormat, ViewInput } from './view.ts'

/** What is written where a format wants to know when it was made: 2000-01-01, VHD's own zero. */
export const MADE_AT = new Date('2000-01-01T00:00:00Z')

/**
 * 16 bytes of a UUID for one purpose (`vhd footer`), in the order in which it is written as text.
 * Source: RFC 9562, 5.8 (version 8: made as an application likes).
 */
export function uuidFor(purpose: string, identity: string): Buffer {
  const uuid = digestOf(purpose, identity).subarray(0, 16)
  uuid[6] = (uuid[6]! & 0x0f) | 0x80
  uuid[8] = (uuid[8]! & 0x3f) | 0x80
  return uuid
}

/** 32 bits for one purpose. */
export function numberFor(purpose: string, identity: string): number {
  return digestOf(purpose, identity).readUInt32BE(0)
}

/** The 16 bytes of a UUID as Microsoft's formats and VDI store it: the first three fields turned around. */
export function asGuid(uuid: Uint8Array | string): Buffer {
  const guid =
    typeof uuid === 'string' ? Buffer.from(uuid.replaceAll('-', ''), 'hex') : Buffer.from(uuid)
  guid.subarray(0, 4).reverse()
  guid.subarray(4, 6).reverse()
  guid.subarray(6, 8).reverse()
  return guid
}

/** `01234567-89ab-…`. */
export function uuidText(uuid: Buffer): string {
  return uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/**
 * The ETag of a view, quoted: it changes with the map, the content, and the code that makes the view,
 * compressors too. If the content has a digest, it is known before anything is compressed.
 */
export function etagFor(format: ViewFormat, input: ViewInput): string {
  const { map, identity, contentDigest, clusters, vmdkDigest } = input
  const { edition = input.edition } = clusters ?? {}
  const compressed = contentDigest === undefined ? clusters?.digest : edition
  const made = [
    format.needs === 'map' ? '' : (compressed ?? ''),
    format.usesVmdkDigest === true ? (vmdkDigest ?? '') : '',
    contentDigest ?? '',
  ].join(' ')
  const digest = digestOf('etag', format.name, String(format.version), map.digest, made, identity)
  return `"${digest.toString('hex', 0, 16)}"`
}

/** The last word may hold anything; those before it hold no NUL. */
function digestOf(...words: readonly string[]): Buffer {
  return createHash('sha256')
    .update(['ingot', ...words].join('\0'))
    .digest()
}
