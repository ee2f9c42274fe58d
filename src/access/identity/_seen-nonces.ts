/** Of all timestamps together; some 300 requests a second for as long as a nonce is good. */
const MOST = 200_000

/**
 * Remembers which nonces were used. Those that are too old to be taken again are forgotten; and when there are too many,
 * the oldest, of which then none is taken any more: nothing is ever taken twice.
 */
export class SeenNonces {
  readonly #most: number
  readonly #byTime = new Map<number, Set<string>>()
  #count = 0
  /** Seconds; nothing that is as old as this, or older, is taken. */
  #horizon = -1

  constructor(most = MOST) {
    this.#most = most
  }

  /** False if it is known, or too old to tell. `since`: seconds; what was made before is refused by the caller. */
  add(nonce: string, timestamp: number, since: number): boolean {
    this.#forgetBefore(since)
    if (timestamp <= this.#horizon) return false
    const there = this.#byTime.get(timestamp) ?? new Set()
    if (there.has(nonce)) return false
    there.add(nonce)
    this.#byTime.set(timestamp, there)
    this.#count += 1
    if (this.#count > this.#most) this.#forgetBefore(Math.min(...this.#byTime.keys()) + 1)
    return true
  }

  #forgetBefore(time: number): void {
    if (time - 1 <= this.#horizon) return
    this.#horizon = time - 1
    for (const [timestamp, nonces] of this.#byTime)
      if (timestamp < time) {
        this.#count -= nonces.size
        this.#byTime.delete(timestamp)
      }
  }
}
