import type { Fields } from '../../bytes/fields.ts'
import { type Ask, MAX_ASK } from '../parser.ts'

/** A part of a parser's work: asks, learns nothing by itself. */
export type Work = Generator<Ask, void, Fields>

/** Asks for a table in parts. `skipped`: bytes of it before the part. */
export function* askParts(
  { host, length, what }: { host: number; length: number; what: string },
  read: (part: Fields, skipped: number) => void,
): Work {
  for (let skipped = 0; skipped < length; skipped += MAX_ASK) {
    const partLength = Math.min(MAX_ASK, length - skipped)
    read(yield { at: host + skipped, length: partLength, name: what, order: 'big' }, skipped)
  }
}

/** Tables have numbers below this, and stand in clusters below that: both fit one number. */
const MAX_TABLES = 2 ** 23
export const MAX_CLUSTERS = 2 ** 30

/**
 * The tables of one cluster each that are still to be read. They are asked for in the order of the
 * file, which a stream cannot leave, and as many at once as stand side by side.
 */
export class Qcow2TableQueue {
  readonly #clusterSize: number
  #places: number[] = []

  constructor(clusterSize: number) {
    this.#clusterSize = clusterSize
  }

  /** `table`: its number, for whoever reads it. */
  add(host: number, table: number): void {
    this.#places.push((host / this.#clusterSize) * MAX_TABLES + table)
  }

  /** Asks for the tables that stand before this byte of the file. */
  *readBefore(end: number, read: (table: number, part: Fields, skipped: number) => void): Work {
    const limit = (end / this.#clusterSize) * MAX_TABLES
    const places = Float64Array.from(this.#places.filter((place) => place < limit)).sort()
    this.#places = this.#places.filter((place) => place >= limit)
    const clusterSize = this.#clusterSize
    for (let first = 0; first < places.length;) {
      const count = countNeighbours(places, first, Math.max(1, MAX_ASK / clusterSize))
      const host = Math.floor((places[first] ?? 0) / MAX_TABLES) * clusterSize
      const from = first
      yield* askParts({ host, length: count * clusterSize, what: 'tables' }, (part, skipped) => {
        for (let at = 0; at < part.bytes.length; at += clusterSize) {
          const length = Math.min(clusterSize, part.bytes.length - at)
          const place = places[from + Math.floor((skipped + at) / clusterSize)] ?? 0
          const inside = (skipped + at) % clusterSize
          read(place % MAX_TABLES, part.part('table', at, length), inside)
        }
      })
      first += count
    }
  }
}

/** How many tables, up to `most`, stand one behind the other from this one on. */
function countNeighbours(places: Float64Array, first: number, most: number): number {
  const clusterOf = (index: number) => Math.floor((places[index] ?? Infinity) / MAX_TABLES)
  const start = clusterOf(first)
  let count = 1
  while (count < most && clusterOf(first + count) === start + count) count++
  return count
}
