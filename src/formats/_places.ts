import type { Content, Piece } from '../bytes/piece.ts'
import { cutPieces, lengthOfAll, mergedPieces } from './_pieces.ts'

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

/** Content whose parts stand at `places`; each is told when it is wanted, as pieces. */
export function placedContent(
  places: Places,
  partAt: (index: number) => readonly Piece[],
): Content {
  return {
    length: places.end,
    pieces: (from, to) => mergedPieces(placedPieces(places, partAt, from, to)),
  }
}

function* placedPieces(
  places: Places,
  partAt: (index: number) => readonly Piece[],
  from: number,
  to: number,
): Generator<Piece> {
  if (from >= to) return
  let index = places.find(from)
  for (let start = places.start(index); start < to; index++) {
    const part = partAt(index)
    const length = lengthOfAll(part)
    const isWhole = from <= start && start + length <= to
    yield* isWhole ? part : cutPieces(part, Math.max(from - start, 0), to - start)
    start += length
  }
}
