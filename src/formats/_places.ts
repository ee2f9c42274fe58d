import { KiB } from '../base/units.ts'
import type { Content, Piece } from '../bytes/piece.ts'

/** How many lengths are summed up for each sum that is kept. */
const BLOCK = 32

/**
 * Where things of different lengths stand that are laid one after the other. Each length is asked for
 * at once, in order, and again when it is needed: kept is one sum for each 32 of them.
 */
export class Places {
  readonly count: number
  /** Where the last one ends. */
  readonly end: number
  readonly #lengthOf: (index: number) => number
  readonly #sums: Float64Array

  constructor(count: number, lengthOf: (index: number) => number) {
    this.count = count
    this.#lengthOf = lengthOf
    this.#sums = new Float64Array(Math.floor(count / BLOCK) + 1)
    let sum = 0
    for (let index = 0; index < count; index++) {
      if (index % BLOCK === 0) this.#sums[index / BLOCK] = sum
      sum += lengthOf(index)
    }
    if (count % BLOCK === 0) this.#sums[count / BLOCK] = sum
    this.end = sum
  }

  /** Where one starts; where all end for `count`. */
  start(index: number): number {
    const block = Math.floor(index / BLOCK)
    let start = this.#sums[block] ?? this.end
    for (let at = block * BLOCK; at < index; at++) start += this.#lengthOf(at)
    return start
  }

  /** The one that holds byte `at`, which is below `end`. */
  find(at: number): number {
    let low = 0
    let high = this.#sums.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#sums[middle] ?? 0) <= at) low = middle
      else high = middle
    }
    let index = low * BLOCK
    let end = this.#sums[low] ?? 0
    while ((end += this.#lengthOf(index)) <= at) index++
    return index
  }
}

/** Content whose parts stand at `places`; each is told when it is wanted. */
export function placedContent(places: Places, partAt: (index: number) => Content): Content {
  return {
    length: places.end,
    *pieces(from, to) {
      if (from >= to) return
      let index = places.find(from)
      for (let start = places.start(index); start < to; index++) {
        const part = partAt(index)
        const end = Math.min(to - start, part.length)
        yield* part.pieces(Math.max(from - start, 0), end)
        start += part.length
      }
    },
  }
}

/** A part of content as content of its own. */
export function partOf(content: Content, start: number, length: number): Content {
  return { length, pieces: (from, to) => content.pieces(start + from, start + to) }
}

/** The bytes that `make` gives when they are wanted: what costs more than its length. */
export function lazyContent(length: number, make: () => Uint8Array): Content {
  return {
    length,
    *pieces(from, to) {
      if (from < to) yield { kind: 'bytes', bytes: make().subarray(from, to) }
    },
  }
}

/** A payload of the store, or a part of it. */
export function payloadContent(offset: number, length: number): Content {
  return {
    length,
    *pieces(from, to) {
      if (from < to) yield { kind: 'copy', of: 'store', offset: offset + from, length: to - from }
    },
  }
}

/** Bytes are put together up to this many. */
const JOINED_BYTES = 4 * KiB

/** The same content in fewer pieces: copies that go on are one, and short bytes are put together. */
export function mergedContent(content: Content): Content {
  return {
    length: content.length,
    *pieces(from, to) {
      let last: Piece | undefined
      for (const piece of content.pieces(from, to)) {
        const both = last === undefined ? piece : joined(last, piece)
        if (both === undefined && last !== undefined) yield last
        last = both ?? piece
      }
      if (last !== undefined) yield last
    },
  }
}

/** Two pieces as one, where they can be. */
function joined(first: Piece, next: Piece): Piece | undefined {
  if (first.kind === 'copy' && next.kind === 'copy') {
    const goesOn = first.of === next.of && first.offset + first.length === next.offset
    return goesOn ? { ...first, length: first.length + next.length } : undefined
  }
  if (first.kind === 'zeros' && next.kind === 'zeros')
    return { kind: 'zeros', length: first.length + next.length }
  if (first.kind !== 'bytes' || next.kind !== 'bytes') return undefined
  if (first.bytes.length + next.bytes.length > JOINED_BYTES) return undefined
  return { kind: 'bytes', bytes: Buffer.concat([first.bytes, next.bytes]) }
}
