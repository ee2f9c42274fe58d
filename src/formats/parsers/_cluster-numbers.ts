import { filledParts } from './_filled-parts.ts'

/** Clusters in a page, and pages at most: 64 MiB, enough for a file of 2 TiB in clusters of 64 KiB. */
const PAGE = 32 * 1024
const MAX_PAGES = 1024

/** A number of 16 bits for each cluster of a file, 0 at first. Costs what is touched, up to 64 MiB. */
export class ClusterNumbers {
  readonly #pages = new Map<number, Int16Array<ArrayBuffer>>()
  #page = new Int16Array(0)
  #pageNumber = -1
  #isFull = false

  /** Whether there was no room for a number any more; from then on they mean nothing. */
  get isFull(): boolean {
    return this.#isFull
  }

  get(cluster: number): number {
    return this.#turnTo(Math.floor(cluster / PAGE)) ? (this.#page[cluster % PAGE] ?? 0) : 0
  }

  set(cluster: number, value: number): void {
    if (this.#turnTo(Math.floor(cluster / PAGE))) this.#page[cluster % PAGE] = value
  }

  /** The clusters whose number is not 0. */
  *entries(): Generator<readonly [cluster: number, value: number]> {
    for (const [number, page] of this.#pages)
      for (const { start, end } of filledParts(new Uint8Array(page.buffer)))
        for (let index = start / 2; index < end / 2; index++)
          if (page[index] !== 0) yield [number * PAGE + index, page[index] ?? 0]
  }

  #turnTo(number: number): boolean {
    if (number === this.#pageNumber) return true
    let page = this.#pages.get(number)
    if (page === undefined) {
      this.#isFull ||= this.#pages.size === MAX_PAGES
      if (this.#isFull) return false
      page = new Int16Array(PAGE)
      this.#pages.set(number, page)
    }
    this.#page = page
    this.#pageNumber = number
    return true
  }
}
