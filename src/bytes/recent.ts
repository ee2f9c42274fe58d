/** What was used last, by key, within a bound on the sum of sizes. Always keeps the newest. */
export class Recent<Key, Value> {
  readonly #limit: number
  readonly #kept = new Map<Key, { value: Value; size: number }>()
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: Key): Value | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found) // the last in the map is the one used last
    return found.value
  }

  set(key: Key, value: Value, size: number): void {
    this.delete(key)
    this.#kept.set(key, { value, size })
    this.#total += size
    for (const oldest of this.#kept.keys()) {
      if (this.#total <= this.#limit || oldest === key) break
      this.delete(oldest)
    }
  }

  delete(key: Key): void {
    this.#total -= this.#kept.get(key)?.size ?? 0
    this.#kept.delete(key)
  }
}
