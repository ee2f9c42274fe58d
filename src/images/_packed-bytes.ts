import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { KiB, MiB } from '../base/units.ts'

/** A frame of zstd begins so. Source: RFC 8878, 3.1.1. */
const MAGIC = Buffer.from('28b52ffd', 'hex')
/** Shorter ones are kept as they are. */
const SHORT = 1 * KiB
const LONGEST = 256 * MiB

/**
 * What is kept beside a record, as it stands in the database: packed if it is long, for the map of a disk that is
 * mostly empty is mostly zeros.
 */
export function packBytes(bytes: Uint8Array): Uint8Array {
  const isShort = bytes.length < SHORT && !startsLikeFrame(bytes)
  return isShort ? bytes : zstdCompressSync(bytes)
}

/** The same bytes again. */
export function unpackBytes(bytes: Uint8Array): Uint8Array {
  return startsLikeFrame(bytes) ? zstdDecompressSync(bytes, { maxOutputLength: LONGEST }) : bytes
}

function startsLikeFrame(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length))
}
