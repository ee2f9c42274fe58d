import type { Extent } from './parser.ts'

/** Extents at most that wait for their bytes; about 100 bytes of memory each. */
const MAX_PENDING = 512 * 1024

/**
 * Extents that were announced and whose bytes have not come yet, by their place in the file: a heap.
 * Extents that go on where the one before them ends are kept as one.
 */
export class PendingExtents {
  readonly #most: number
  readonly #heap: Extent[] = []
  /** Announced last, not in the heap yet, since it may still grow. */
  #last: { -readonly [Key in keyof Extent]: Extent[Key] } | undefined

  constructor(most: number = MAX_PENDING) {
    this.#most = most
  }

  /** False when there are too many. */
  add(extent: Extent): boolean {
    const last = this.#last
    if (
      last?.kind === 'data' &&
      extent.kind === 'data' &&
      last.guest + last.length === extent.guest &&
      last.host + last.length === extent.host
    ) {
      last.length += extent.length
      return true
    }
    if (this.#heap.length >= this.#most) return false
    this.#settle()
    this.#last = { ...extent }
    return true
  }

  /** Where the next extent begins in the file; Infinity when there is none. */
  get next(): number {
    this.#settle()
    return this.#heap[0]?.host ?? Infinity
  }

  /** Takes the extent that begins first. */
  take(): Extent | undefined {
    this.#settle()
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first && last && first !== last) this.#sink(last)
    return first
  }

  #settle(): void {
    if (this.#last === undefined) return
    const extent = this.#last as Extent
    this.#last = undefined
    let at = this.#heap.length
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const above = this.#heap[parent]
      if (above === undefined || above.host <= extent.host) break
      this.#heap[at] = above
      at = parent
    }
    this.#heap[at] = extent
  }

  #sink(extent: Extent): void {
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      const [left, right] = [this.#heap[child], this.#heap[child + 1]]
      if (left && right && right.host < left.host) child++
      const below = this.#heap[child]
      if (below === undefined || below.host >= extent.host) break
      this.#heap[at] = below
      at = child
    }
    this.#heap[at] = extent
  }
}
