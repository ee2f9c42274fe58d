import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'
import { DataRuns } from './_data-runs.ts'
import { filledParts } from './_filled-parts.ts'
import type { Qcow2Header } from './_qcow2-header.ts'
import { Qcow2Packed } from './_qcow2-packed.ts'
import type { Qcow2Refcounts } from './_qcow2-refcounts.ts'

/** In the upper half of an entry: bit 62, and bits 56 to 61. */
const COMPRESSED = 0x40000000
const RESERVED_HIGH = 0x3f000000
const OFFSET_HIGH = 0x00ffffff
/** In its lower half: bits 1 to 8, and bit 0. */
const RESERVED_LOW = 0x1fe
const OFFSET_LOW = 0xfffffe00
const READS_AS_ZEROS = 1
/** Parts of a cluster that an extended entry tells of. */
const SUBCLUSTERS = 32

/**
 * Reads L2 tables: where each cluster of the guest's disk stands.
 *
 * | bits     | of an entry whose bit 62 is clear                                             |
 * | -------- | ----------------------------------------------------------------------------- |
 * | 0        | version 3: the cluster reads as zeros; reserved in extended entries           |
 * | 9 to 55  | offset of the cluster; 0: there is none                                       |
 * | 63       | its reference count is 1                                                      |
 * | 64 to 95 | extended: parts of the cluster that read as zeros (in the upper half of the second word) |
 * | 96 to 127 | extended: parts that stand in the cluster                                    |
 *
 * Everything else is reserved. Source: QEMU, docs/interop/qcow2.txt.
 */
export class Qcow2L2Reader {
  readonly #parsing: Parsing
  readonly #header: Qcow2Header
  readonly #refcounts: Qcow2Refcounts
  readonly #runs: DataRuns
  readonly #packed: Qcow2Packed
  readonly #entrySize: number
  readonly #reservedLow: number

  constructor(parsing: Parsing, header: Qcow2Header, refcounts: Qcow2Refcounts) {
    this.#parsing = parsing
    this.#header = header
    this.#refcounts = refcounts
    this.#runs = new DataRuns(parsing, 'cluster', (host, length) => refcounts.use(host, length))
    this.#packed = new Qcow2Packed(parsing, header, refcounts)
    this.#entrySize = header.extendedL2 ? 16 : 8
    const noZeros = header.version === 2 || header.extendedL2
    this.#reservedLow = RESERVED_LOW | (noZeros ? READS_AS_ZEROS : 0)
  }

  /** Reads a part of the table that the L1 entry of this number names, `skipped` bytes inside. */
  read(l1Index: number, table: Fields, skipped: number): void {
    const { bytes, start } = table
    const { clusterSize } = this.#header
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const entrySize = this.#entrySize
    const first = (l1Index * clusterSize + skipped) / entrySize
    for (const part of filledParts(bytes))
      for (let at = part.start; at < part.end; at += entrySize) {
        const guest = (first + at / entrySize) * clusterSize
        const high = view.getUint32(at)
        const low = view.getUint32(at + 4)
        if (entrySize === 16)
          this.#readExtended(guest, { high, low }, subclustersAt(view, at + 8), start + at)
        else if ((high & COMPRESSED) !== 0) this.#packed.add(guest, high, low, start + at)
        else if ((high | low) !== 0) this.#readPlain(guest, high, low, start + at)
      }
    this.#runs.flush()
    this.#packed.flush()
  }

  #readPlain(guest: number, high: number, low: number, from: number): void {
    const host = this.#hostOf(high, low, from)
    if (host === 0) return
    const { virtualSize, clusterSize } = this.#header
    if (guest >= virtualSize || (low & READS_AS_ZEROS) !== 0) this.#reserve(guest, host, from)
    else this.#runs.add(guest, host, Math.min(clusterSize, virtualSize - guest), from)
  }

  #readExtended(
    guest: number,
    { high, low }: { high: number; low: number },
    { data, zeros }: { data: number; zeros: number },
    from: number,
  ): void {
    const packed = (high & COMPRESSED) !== 0
    const host = packed ? 0 : this.#hostOf(high, low, from)
    if ((data & zeros) !== 0 || (host === 0 && data !== 0) || (packed && zeros !== 0)) {
      const bits = `${(zeros >>> 0).toString(16)} ${(data >>> 0).toString(16)}`
      this.#parsing.note('ENTRY_INVALID', { at: from + 8, found: `subclusters 0x${bits}` })
      return
    }
    if (packed) this.#packed.add(guest, high, low, from)
    if (host === 0) return
    const { virtualSize, clusterSize } = this.#header
    if (data === -1 && guest + clusterSize <= virtualSize)
      this.#runs.add(guest, host, clusterSize, from)
    else this.#readSubclusters(guest, host, data, from)
  }

  /** A cluster of which only some parts hold data; the file may end behind the last of them. */
  #readSubclusters(guest: number, host: number, data: number, from: number): void {
    const size = this.#header.clusterSize / SUBCLUSTERS
    const end = Math.max(0, Math.min(this.#header.virtualSize - guest, size * SUBCLUSTERS))
    const used = Math.min(end, (SUBCLUSTERS - Math.clz32(data)) * size)
    if (!this.#claim(host, Math.max(used, SECTOR), from)) return
    for (let index = 0; index * size < used;) {
      const first = index
      while (index < SUBCLUSTERS && ((data >>> index) & 1) === 1) index++
      const length = Math.min(index * size, end) - first * size
      if (length > 0) {
        const place = { guest: guest + first * size, host: host + first * size, length }
        this.#parsing.announce({ kind: 'data', ...place })
      } else index++
    }
  }

  /** A cluster that is kept, but not read: behind the end of the disk, or read as zeros. */
  #reserve(guest: number, host: number, from: number): void {
    const { virtualSize, clusterSize } = this.#header
    const length = Math.max(SECTOR, Math.min(clusterSize, virtualSize - guest))
    this.#claim(host, length, from)
  }

  #claim(host: number, length: number, from: number): boolean {
    this.#runs.flush() // so that the later one of two entries is the one at fault
    if (!this.#parsing.claim(host, length, 'cluster', from)) return false
    this.#refcounts.use(host, 1)
    return true
  }

  /** The offset in a plain entry; 0 if there is none, or none that is valid. */
  #hostOf(high: number, low: number, from: number): number {
    if ((high & RESERVED_HIGH) !== 0 || (low & this.#reservedLow) !== 0) {
      const entry = (BigInt(high) << 32n) | BigInt(low)
      this.#parsing.note('ENTRY_INVALID', { at: from, found: `0x${entry.toString(16)}` })
      return 0
    }
    const host = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0)
    if (host % this.#header.clusterSize === 0) return host
    this.#parsing.note('MISALIGNED', {
      at: from,
      found: `a cluster at byte ${host}`,
      expected: `a multiple of ${this.#header.clusterSize}`,
    })
    return 0
  }
}

/** Bit n: the n-th part of the cluster stands in the file, or reads as zeros. */
function subclustersAt(view: DataView, at: number): { data: number; zeros: number } {
  return { zeros: view.getInt32(at), data: view.getInt32(at + 4) }
}
