import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'
import { ClusterNumbers } from './_cluster-numbers.ts'
import { filledParts } from './_filled-parts.ts'

/** What a balance can be. At these ends it is not known any more, and stays there. */
const MOST = 32767
const LEAST = -32768

/**
 * Compares how often each cluster of a file is counted as used with how often it is used. One number
 * is kept for each cluster, the difference, so counts and uses may come in any order. What is used
 * more often than counted would be given away, and overwritten, by the next who writes to the image.
 */
export class Qcow2Refcounts {
  readonly #clusterSize: number
  readonly #bits: number
  readonly #balances = new ClusterNumbers()

  /** `bits`: of one count, 1 to 64. */
  constructor(clusterSize: number, bits: number) {
    this.#clusterSize = clusterSize
    this.#bits = bits
  }

  /** The clusters that these bytes of the file touch are used once more. */
  use(host: number, length: number): void {
    const end = Math.floor((host + length - 1) / this.#clusterSize) + 1
    for (let cluster = Math.floor(host / this.#clusterSize); cluster < end; cluster++)
      this.#add(cluster, -1)
  }

  /** Reads a part of the refcount block of this number, `skipped` bytes behind its start. */
  readBlock(number: number, { bytes }: Fields, skipped: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const bits = this.#bits
    const first = ((number * this.#clusterSize + skipped) * 8) / bits
    for (const { start, end } of filledParts(bytes))
      for (let index = (start * 8) / bits; index < (end * 8) / bits; index++) {
        const uses = countAt(view, index, bits)
        if (uses !== 0) this.#add(first + index, Math.min(uses, MOST))
      }
  }

  /**
   * Says what does not agree. `hasMore`: clusters are used by what we do not follow, so those that
   * seem unused may be used.
   */
  check(parsing: Parsing, hasMore: boolean): void {
    if (this.#balances.isFull) {
      parsing.note('ODD', {
        severity: 'info',
        found: 'too many clusters to check their reference counts',
      })
      return
    }
    const low = { clusters: 0, first: Infinity }
    const high = { clusters: 0, first: Infinity }
    for (const [cluster, balance] of this.#balances.entries()) {
      if (balance === MOST || balance === LEAST) continue
      const side = balance < 0 ? low : high
      side.clusters++
      side.first = Math.min(side.first, cluster * this.#clusterSize)
    }
    if (low.clusters > 0)
      parsing.note('REFCOUNT', {
        at: low.first,
        found: `${low.clusters} clusters used more often than they are counted`,
        expected: 'counts that are true',
      })
    if (high.clusters > 0 && !hasMore)
      parsing.note('UNUSED_BYTES', {
        at: high.first,
        found: `${high.clusters} clusters counted more often than they are used`,
      })
  }

  #add(cluster: number, difference: number): void {
    const before = this.#balances.get(cluster)
    if (before === MOST || before === LEAST) return
    this.#balances.set(cluster, Math.max(LEAST, Math.min(MOST, before + difference)))
  }
}

/** One count. Those that share a byte stand in it from its lowest bit on. */
function countAt(view: DataView, index: number, bits: number): number {
  switch (bits) {
    case 8:
      return view.getUint8(index)
    case 16:
      return view.getUint16(index * 2)
    case 32:
      return view.getUint32(index * 4)
    case 64:
      return view.getUint32(index * 8) === 0 ? view.getUint32(index * 8 + 4) : MOST
    default: {
      const at = index * bits
      return (view.getUint8(at >>> 3) >>> (at & 7)) & (2 ** bits - 1)
    }
  }
}
