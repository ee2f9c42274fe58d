/**
 * Content that is put together on the fly: a list of pieces, each of which is bytes we made, zeros, or
 * a run of bytes that stands in a source. Views give pieces, `send-pieces.ts` carries them to where
 * they are wanted. A list of pieces is cheap however large the content is: nothing is read yet.
 */

/** Where copied bytes come from: the guest's disk, or the store of its compressed clusters. */
export type Origin = 'disk' | 'store'

export type Piece =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'zeros'; readonly length: number }
  | {
      readonly kind: 'copy'
      readonly of: Origin
      readonly offset: number
      readonly length: number
    }

/** Bytes that a piece stands for. */
export function lengthOf(piece: Piece): number {
  return piece.kind === 'bytes' ? piece.bytes.length : piece.length
}

/** A length, and the pieces of any part of it. */
export interface Content {
  /** Bytes; exact before the first one is made. */
  readonly length: number
  /**
   * The bytes from `from` to `to` (half-open, within `length`), in order. Pieces that are copied or
   * zeros may be as long as the content; pieces of bytes are small.
   */
  pieces(from: number, to: number): Iterable<Piece>
}
