import { SECTOR } from '../../base/units.ts'
import type { Extent, Packing, Parsing } from '../parser.ts'
import { ClusterNumbers } from './_cluster-numbers.ts'
import type { Qcow2Header } from './_qcow2-header.ts'
import type { Qcow2Refcounts } from './_qcow2-refcounts.ts'

/** How many clusters of a disk may be unpacked from the same payload. */
const MAX_SHARED = 16
/** Payloads out of order that are remembered. */
const MAX_REMEMBERED = 256 * 1024

type PackedExtent = Extract<Extent, { kind: Packing }>

/**
 * The compressed clusters of a qcow2 file. Their payloads stand side by side at any byte, and an
 * entry only tells which sectors one touches, so neighbours share the sector in which one ends. What
 * is claimed is therefore each cluster of the file from its start up to the last sector that holds
 * payload, and of that sector the one byte that must be there.
 */
export class Qcow2Packed {
  readonly #parsing: Parsing
  readonly #header: Qcow2Header
  readonly #refcounts: Qcow2Refcounts
  /** Sectors, from its start, that are claimed in each cluster of the file. */
  readonly #claimed = new ClusterNumbers()
  /** The run of sectors that is claimed next, and the entry that began it. */
  #run = { start: 0, end: 0, from: 0 }
  #waiting: PackedExtent[] = []
  /** The payload farthest behind; what comes behind it cannot have come before. */
  #farthest = -1
  /** How often each other payload has come. */
  readonly #seen = new Map<number, number>()

  constructor(parsing: Parsing, header: Qcow2Header, refcounts: Qcow2Refcounts) {
    this.#parsing = parsing
    this.#header = header
    this.#refcounts = refcounts
  }

  /**
   * The entry at byte `from`, in two halves. With x = 62 - (cluster bits - 8): bits 0 to x-1 are the
   * offset of the payload, bits x to 61 say how many more sectors than the first one it touches;
   * bit 62 is set and bit 63 clear.
   */
  add(guest: number, high: number, low: number, from: number): void {
    const { clusterBits, clusterSize, packing, virtualSize } = this.#header
    const highBits = 38 - clusterBits
    const host = (high & (2 ** highBits - 1)) * 2 ** 32 + low
    const sectors = ((high & 0x3fffffff) >>> highBits) + 1
    const first = Math.floor(host / SECTOR)
    const invalid =
      high >>> 31 === 1 || host < clusterSize || host > Number.MAX_SAFE_INTEGER / 2
        ? 'ENTRY_INVALID'
        : sectors * SECTOR > clusterSize + 2 * SECTOR && 'OUT_OF_RANGE'
    if (invalid) {
      const found = `a payload at byte ${host} in ${sectors} sectors`
      this.#parsing.note(invalid, { at: from, found })
      return
    }
    if (this.#isRepeated(host, from)) return
    if (this.#claimed.isFull)
      this.#parsing.stop('LIMIT_REACHED', { at: from, found: 'too many compressed clusters' })
    this.#claimSectors(first, first + sectors, from)
    if (guest >= virtualSize) return
    const end = Math.min((first + sectors) * SECTOR, this.#parsing.fileSize ?? Infinity)
    const hostLength = Math.max(1, end - host)
    const length = Math.min(clusterSize, virtualSize - guest)
    const room = length < clusterSize ? { room: clusterSize } : {}
    this.#waiting.push({ kind: packing, guest, length, host, hostLength, ...room })
  }

  /** Claims and announces what has come so far. */
  flush(): void {
    const { start, end, from } = this.#run
    const length = (end - 1 - start) * SECTOR + 1
    const good = end === 0 || this.#parsing.claim(start * SECTOR, length, 'payloads', from)
    for (const extent of this.#waiting) if (good) this.#parsing.announce(extent)
    this.#waiting = []
    this.#run = { start: 0, end: 0, from: 0 }
  }

  #isRepeated(host: number, from: number): boolean {
    if (host > this.#farthest) {
      this.#farthest = host
      return false
    }
    if (this.#seen.size >= MAX_REMEMBERED) this.#seen.clear()
    const times = (this.#seen.get(host) ?? 1) + 1
    this.#seen.set(host, times)
    if (times <= MAX_SHARED) return false
    if (times === MAX_SHARED + 1)
      this.#parsing.note('OVERLAP', {
        at: from,
        found: `more than ${MAX_SHARED} clusters of the disk in the payload at byte ${host}`,
        expected: 'a payload for each',
      })
    return true
  }

  /** Claims what is new of these sectors, and counts a use of every cluster they are in. */
  #claimSectors(start: number, end: number, from: number): void {
    const perCluster = this.#header.clusterSize / SECTOR
    this.#refcounts.use(start * SECTOR, (end - start) * SECTOR)
    for (let at = start; at < end;) {
      const cluster = Math.floor(at / perCluster)
      const base = cluster * perCluster
      const next = Math.min(end, base + perCluster)
      const claimed = this.#claimed.get(cluster)
      if (next - base > claimed) {
        this.#claimed.set(cluster, next - base)
        this.#extendRun(base + claimed, next, from)
      }
      at = next
    }
  }

  #extendRun(start: number, end: number, from: number): void {
    if (this.#run.end !== start) {
      this.flush()
      this.#run = { start, end: start, from }
    }
    this.#run.end = end
  }
}
