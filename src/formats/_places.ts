/** How many places share one stored sum. */
const BLOCK = 64

/**
 * Where things of different lengths stand that are laid one after the other. Each length is asked for
 * at once, in order, and again when it is needed: kept is one sum for each 64 of them.
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
    return lastThat(this.count, (index) => this.start(index) <= at)
  }
}

/** The largest index below `count` that passes, when all those that pass stand before the others. */
export function lastThat(count: number, passes: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (passes(middle)) low = middle
    else high = middle
  }
  return low
}
