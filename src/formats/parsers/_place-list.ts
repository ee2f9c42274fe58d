/**
 * Where numbered things stand in a file, to be gone through in the order of the file: 8 bytes each,
 * sorted only if they were not found in that order.
 */
export class PlaceList {
  /** Pairs of index and sector, so that on a little-endian machine the sector is the higher half. */
  #pairs = new Uint32Array(1024)
  #count = 0
  #sorted = true

  get count(): number {
    return this.#count
  }

  /** `sector` and `index` are below 2^32. */
  add(sector: number, index: number): void {
    if (this.#count * 2 === this.#pairs.length) {
      const larger = new Uint32Array(this.#pairs.length * 2)
      larger.set(this.#pairs)
      this.#pairs = larger
    }
    const at = this.#count * 2
    if (at > 0 && sector < (this.#pairs[at - 1] ?? 0)) this.#sorted = false
    this.#pairs[at] = index
    this.#pairs[at + 1] = sector
    this.#count++
  }

  /** All of them, by sector; of two in the same sector, the one with the lower index first. */
  *byPlace(): Generator<{ sector: number; index: number }> {
    const pairs = this.#pairs
    if (!this.#sorted) new BigUint64Array(pairs.buffer, 0, this.#count).sort()
    for (let at = 0; at < this.#count * 2; at += 2)
      yield { sector: pairs[at + 1] ?? 0, index: pairs[at] ?? 0 }
  }
}
