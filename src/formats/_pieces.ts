/**
 * Short lists of pieces: what the many small parts of compressed formats are told as. There are tens of
 * thousands of them in a GiB, so they are plain arrays, and bytes come from the pool.
 */
import { KiB } from '../base/units.ts'
import { type Content, lengthOf, type Piece } from '../bytes/piece.ts'

export function bytesPiece(bytes: Uint8Array): Piece {
  return { kind: 'bytes', bytes }
}

/** A payload of the store. */
export function payloadPiece(offset: number, length: number): Piece {
  return { kind: 'copy', of: 'store', offset, length }
}

/** Bytes that all of them stand for. */
export function lengthOfAll(pieces: readonly Piece[]): number {
  let length = 0
  for (const piece of pieces) length += lengthOf(piece)
  return length
}

/** What stands at the bytes from `from` to `to`; both may lie behind the end. */
export function cutPieces(pieces: readonly Piece[], from: number, to: number): Piece[] {
  const cut: Piece[] = []
  let start = 0
  for (const piece of pieces) {
    const length = lengthOf(piece)
    const first = Math.max(from - start, 0)
    const end = Math.min(to - start, length)
    if (first < end) cut.push(cutPiece(piece, first, end))
    start += length
  }
  return cut
}

function cutPiece(piece: Piece, from: number, to: number): Piece {
  if (piece.kind === 'bytes') return { kind: 'bytes', bytes: piece.bytes.subarray(from, to) }
  if (piece.kind === 'zeros') return { kind: 'zeros', length: to - from }
  return { ...piece, offset: piece.offset + from, length: to - from }
}

/** Content of a few pieces. */
export function piecesContent(pieces: readonly Piece[]): Content {
  return { length: lengthOfAll(pieces), pieces: (from, to) => cutPieces(pieces, from, to) }
}

/** Content of `length` bytes that `make` gives when they are wanted: what costs more than its length. */
export function lazyContent(length: number, make: () => Uint8Array): Content {
  return {
    length,
    pieces: (from, to) => (from < to ? [bytesPiece(make().subarray(from, to))] : []),
  }
}

/** Bytes are put together up to this many. */
const JOINED_BYTES = 4 * KiB

/** The same in fewer pieces: copies that go on are one, and short bytes are put together. */
export function* mergedPieces(pieces: Iterable<Piece>): Generator<Piece> {
  let last: Piece | undefined
  for (const piece of pieces) {
    const both = last === undefined ? piece : joined(last, piece)
    if (both === undefined && last !== undefined) yield last
    last = both ?? piece
  }
  if (last !== undefined) yield last
}

/** Two pieces as one, where they can be. */
function joined(first: Piece, next: Piece): Piece | undefined {
  if (first.kind === 'copy' && next.kind === 'copy') {
    const goesOn = first.of === next.of && first.offset + first.length === next.offset
    return goesOn ? { ...first, length: first.length + next.length } : undefined
  }
  if (first.kind !== 'bytes' || next.kind !== 'bytes') return undefined
  if (first.bytes.length + next.bytes.length > JOINED_BYTES) return undefined
  return bytesPiece(Buffer.concat([first.bytes, next.bytes]))
}
