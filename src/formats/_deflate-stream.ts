/**
 * Raw deflate streams that need no compressor: of clusters that a store holds, of any bytes as they
 * are, and of zeros, of which a run of any length is a few bytes and a run of zeros.
 * Source: RFC 1951.
 */
import type { Piece } from '../bytes/piece.ts'
import { bytesPiece, cutPieces, payloadPiece } from './_pieces.ts'
import type { ClusterIndex } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

/** Most bytes of a block that is stored as it is, and the bytes of its header. */
const STORED_BLOCK = 65_535
const BLOCK_HEADER = 5

/** The stream of a cluster, compressed or not. */
export function deflatedCluster(clusters: ClusterIndex, cluster: number): readonly Piece[] {
  const length = clusters.length(cluster)
  const payload = payloadPiece(clusters.offset(cluster), length)
  return clusters.isStored(cluster) ? storedStream(payload, length) : [payload]
}

/** Bytes of `deflatedCluster`. */
export function deflatedLength(clusters: ClusterIndex, cluster: number): number {
  return clusters.isStored(cluster) ? storedLength(UNIT) : clusters.length(cluster)
}

/** A piece of `length` bytes as a stream that holds it as it is, in blocks of at most 65,535 bytes. */
export function storedStream(piece: Piece, length: number): readonly Piece[] {
  const parts: Piece[] = []
  for (let start = 0; start < length; start += STORED_BLOCK) {
    const size = Math.min(STORED_BLOCK, length - start)
    const header = Buffer.allocUnsafe(BLOCK_HEADER)
    header.writeUInt8(start + size === length ? 1 : 0, 0)
    header.writeUInt16LE(size, 1)
    header.writeUInt16LE(size ^ 0xffff, 3)
    parts.push(bytesPiece(header), ...cutPieces([piece], start, start + size))
  }
  return parts
}

/** Bytes of the `storedStream` of so many bytes, which are not none. */
export function storedLength(length: number): number {
  return length + Math.ceil(length / STORED_BLOCK) * BLOCK_HEADER
}

/** How many bytes one copy from the byte before gives at most. */
const LONGEST_MATCH = 258

/**
 * The code lengths of a block that knows three symbols, as values and bits, first to last: symbol 285
 * (copy 258 bytes) is `0`, 0 (a zero byte) `10`, 256 (the end) `11`; the one distance is `0`. A copy of
 * 258 zeros is so two bits, both 0.
 */
const ZEROS_HEADER: readonly (readonly [value: number, bits: number])[] = [
  [1, 1], // last block
  [2, 2], // with codes of its own
  [29, 5], // 286 symbols
  [0, 5], // 1 distance
  [14, 4], // 18 lengths of length codes follow, 3 bits each
  ...[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2].map((length) => [length, 3] as const),
  // The code lengths: `0` repeats zero 11 times and more, `10` is 1, `11` is 2 (first bit first).
  [0b11, 2],
  [0, 1],
  [138 - 11, 7],
  [0, 1],
  [117 - 11, 7],
  [0b11, 2],
  [0, 1],
  [28 - 11, 7],
  [0b01, 2],
  [0b01, 2],
]
const ZEROS_HEADER_BITS = ZEROS_HEADER.reduce((sum, [, bits]) => sum + bits, 0)
const ZERO_BYTE = 0b01
const BLOCK_END = 0b11
/** More bytes than header and zero bytes take, and than the end does. */
const ZEROS_HEAD = 128
const ZEROS_TAIL = 2

/** The stream of `length` zeros, which are not none. */
export function deflatedZeros(length: number): readonly Piece[] {
  const { literals, endAt, size } = zerosLayout(length)
  const isLong = size >= ZEROS_HEAD + ZEROS_TAIL
  const head = Buffer.allocUnsafe(isLong ? ZEROS_HEAD : size).fill(0)
  let at = 0
  for (const [value, bits] of ZEROS_HEADER) {
    writeBits(head, at, value, bits)
    at += bits
  }
  for (let literal = 0; literal < literals; literal++)
    writeBits(head, at + literal * 2, ZERO_BYTE, 2)
  const tail = isLong ? Buffer.alloc(ZEROS_TAIL) : head
  writeBits(tail, endAt - (size - tail.length) * 8, BLOCK_END, 2)
  if (!isLong) return [bytesPiece(head)]
  const between = size - head.length - tail.length
  return [bytesPiece(head), { kind: 'zeros', length: between }, bytesPiece(tail)]
}

/** Bytes of `deflatedZeros`. */
export function deflatedZerosLength(length: number): number {
  return zerosLayout(length).size
}

/** A copy needs a byte before it, so there are 1 to 258 zero bytes; where the end is told, in bits. */
function zerosLayout(length: number): { literals: number; endAt: number; size: number } {
  const literals = ((length - 1) % LONGEST_MATCH) + 1
  const copies = (length - literals) / LONGEST_MATCH
  const endAt = ZEROS_HEADER_BITS + literals * 2 + copies * 2
  return { literals, endAt, size: Math.ceil((endAt + 2) / 8) }
}

/** Sets bits at bit `at`, the lowest first, in memory that holds zeros there. */
function writeBits(bytes: Buffer, at: number, value: number, bits: number): void {
  for (let bit = 0; bit < bits; bit++) {
    const place = at + bit
    const byte = Math.floor(place / 8)
    bytes[byte] = (bytes[byte] ?? 0) | (((value >>> bit) & 1) << (place % 8))
  }
}
