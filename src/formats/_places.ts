import type { Content, Piece } from '../bytes/piece.ts'
import { cutPieces, lengthOfAll, mergedPieces } from './_pieces.ts'

/** How many lengths are summed up for each sum that is kept. */
const BLOCK = 32

/**
 * Where things of different lengths stand that are laid one after the other. Lengths are asked for in
 * order, once somebody wants to know where something stands that comes behind them, and again when they
 * are needed: kept is one sum for each 32 of them.
 */
export class Places {
  readonly count: number
  readonly #lengthOf: (index: number) => number
  readonly #sums: Float64Array
  /** Sums are known up to here. */
  #known = 0

  constructor(count: number, lengthOf: (index: number) => number) {
    this.count = count
    this.#lengthOf = lengthOf
    this.#sums = new Float64Array(Math.floor(count / BLOCK) + 1)
  }

  /** Where the last one ends. */
  get end(): number {
    return this.start(this.count)
  }

  /** Where one starts; where all end for `count`. */
  start(index: number): number {
    const block = Math.floor(index / BLOCK)
    while (this.#known < block) this.#sumNext()
    let start = this.#sums[block] ?? 0
    for (let at = block * BLOCK; at < index; at++) start += this.#lengthOf(at)
    return start
  }

  /** The one that holds byte `at`, which is below `end`. */
  find(at: number): number {
    const last = this.#sums.length - 1
    while (this.#known < last && (this.#sums[this.#known] ?? 0) <= at) this.#sumNext()
    let low = 0
    let high = this.#known + 1
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

  #sumNext(): void {
    let sum = this.#sums[this.#known] ?? 0
    const first = this.#known * BLOCK
    for (let index = first; index < first + BLOCK; index++) sum += this.#lengthOf(index)
    this.#sums[++this.#known] = sum
  }
}

/** Content whose parts stand at `places`; each is told when it is wanted, as pieces. */
export function placedContent(
  places: Places,
  partAt: (index: number) => readonly Piece[],
): Content {
  return {
    get length() {
      return places.end
    },
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
