import { KiB, SECTOR } from '../base/units.ts'

const UNIT = 64 * KiB
const SECTORS = UNIT / SECTOR
const PAGE_UNITS = 2048
const PAGE_WORDS = PAGE_UNITS / 32

/** What one entry costs in memory, about, with its share of the tables it stands in. */
const COST = { page: 64, bits: 512, unit: 160, sector: 64 } as const
const BUDGET = 64 * KiB * KiB

/**
 * Which bytes of a file are spoken for. Whole units of 64 KiB are bits in pages that are made when
 * they are touched and shrink to nothing when they are full; a unit that is used in part is counted
 * by sectors, a sector by bytes. So an honest file costs a few KiB however large it is, and a file
 * that is made to cost much runs into the budget.
 */
export class UsedSpace {
  /** Bits of whole units; `null` when all are set. */
  readonly #pages = new Map<number, Uint32Array | null>()
  /** Bits of the whole sectors of units that are used in part. */
  readonly #units = new Map<number, Uint32Array>()
  /** Used bytes of sectors that are used in part: `[start, end, start, end, ...]`, in order. */
  readonly #sectors = new Map<number, readonly number[]>()
  /** Everything from here on is taken. */
  #rest = Infinity
  #highest = 0
  #cost = 0

  /** Where the last byte that was ever taken ends. */
  get end(): number {
    return this.#highest
  }

  /** Whether what is kept is larger than it may get. Then the file is not worth going on with. */
  get isFull(): boolean {
    return this.#cost > BUDGET
  }

  /**
   * Takes the bytes from `start` to `end`, which may be Infinity. False when one of them was taken
   * before; then nothing changes.
   */
  take(start: number, end: number): boolean {
    if (end <= start) return true
    if (end > this.#rest || (end === Infinity && start < this.#highest)) return false
    if (end === Infinity) this.#rest = start
    else if (start < this.#highest && !this.#isFree(start, end)) return false
    else this.#mark(start, end)
    this.#highest = Math.max(this.#highest, end)
    return true
  }

  #isFree(start: number, end: number): boolean {
    for (let at = start; at < end;) {
      const unit = Math.floor(at / UNIT)
      const next = Math.min((unit + 1) * UNIT, end)
      const page = this.#pages.get(Math.floor(unit / PAGE_UNITS))
      if (page === null || (page !== undefined && isSet(page, unit % PAGE_UNITS))) return false
      if (this.#units.size + this.#sectors.size > 0 && !this.#isUnitFree(unit, at, next))
        return false
      at = page === undefined ? this.#skipEmptyPage(unit, next, end) : next
    }
    return true
  }

  /** From the end of a free unit in a page that has no bits to where it is worth looking again. */
  #skipEmptyPage(unit: number, next: number, end: number): number {
    if (this.#units.size + this.#sectors.size > 0) return next
    return Math.min(end, (Math.floor(unit / PAGE_UNITS) + 1) * PAGE_UNITS * UNIT)
  }

  #isUnitFree(unit: number, start: number, end: number): boolean {
    const bits = this.#units.get(unit)
    if (bits === undefined) return true
    for (let at = start; at < end;) {
      const sector = Math.floor(at / SECTOR)
      const next = Math.min((sector + 1) * SECTOR, end)
      if (isSet(bits, sector % SECTORS)) return false
      const used = this.#sectors.get(sector)
      if (used !== undefined && meets(used, at - sector * SECTOR, next - sector * SECTOR))
        return false
      at = next
    }
    return true
  }

  #mark(start: number, end: number): void {
    for (let at = start; at < end && !this.isFull;) {
      const unit = Math.floor(at / UNIT)
      const next = Math.min((unit + 1) * UNIT, end)
      const wholePage = PAGE_UNITS * UNIT
      if (at % wholePage === 0 && at + wholePage <= end) {
        this.#pages.set(at / wholePage, null) // the page was free, so it has no bits to drop
        this.#cost += COST.page
        at += wholePage
        continue
      }
      if (next - at === UNIT) this.#markUnit(unit)
      else this.#markPart(unit, at, next)
      at = next
    }
  }

  #markUnit(unit: number): void {
    const index = Math.floor(unit / PAGE_UNITS)
    let page = this.#pages.get(index)
    if (page === null) return
    if (page === undefined) {
      page = new Uint32Array(PAGE_WORDS + 1) // the last word counts
      this.#pages.set(index, page)
      this.#cost += COST.page + COST.bits
    }
    set(page, unit % PAGE_UNITS)
    page[PAGE_WORDS] = (page[PAGE_WORDS] ?? 0) + 1
    if (page[PAGE_WORDS] !== PAGE_UNITS) return
    this.#pages.set(index, null)
    this.#cost -= COST.bits
  }

  #markPart(unit: number, start: number, end: number): void {
    let bits = this.#units.get(unit)
    if (bits === undefined) {
      bits = new Uint32Array(SECTORS / 32 + 1) // the last word counts
      this.#units.set(unit, bits)
      this.#cost += COST.unit
    }
    for (let at = start; at < end;) {
      const sector = Math.floor(at / SECTOR)
      const next = Math.min((sector + 1) * SECTOR, end)
      const from = sector * SECTOR
      if (next - at === SECTOR || this.#fills(sector, at - from, next - from)) {
        set(bits, sector % SECTORS)
        bits[SECTORS / 32] = (bits[SECTORS / 32] ?? 0) + 1
      }
      at = next
    }
    if (bits[SECTORS / 32] !== SECTORS) return
    this.#units.delete(unit)
    this.#cost -= COST.unit
    this.#markUnit(unit)
  }

  /** Adds bytes to a sector that is used in part; true when they were the last that it had. */
  #fills(sector: number, start: number, end: number): boolean {
    const before = this.#sectors.get(sector)
    const after = joined(before ?? [], start, end)
    const whole = after[0] === 0 && after[1] === SECTOR
    if (whole) this.#sectors.delete(sector)
    else this.#sectors.set(sector, after)
    this.#cost += costOf(whole ? undefined : after) - costOf(before)
    return whole
  }
}

function costOf(ranges: readonly number[] | undefined): number {
  return ranges === undefined ? 0 : COST.sector + ranges.length * 8
}

function isSet(bits: Uint32Array, index: number): boolean {
  return (((bits[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1
}

function set(bits: Uint32Array, index: number): void {
  bits[index >>> 5] = (bits[index >>> 5] ?? 0) | (1 << (index & 31))
}

function meets(ranges: readonly number[], start: number, end: number): boolean {
  for (let at = 0; at < ranges.length; at += 2)
    if (start < (ranges[at + 1] ?? 0) && end > (ranges[at] ?? 0)) return true
  return false
}

/** The ranges and one more that meets none of them, in order, neighbours made one. */
function joined(ranges: readonly number[], start: number, end: number): number[] {
  const pairs: [number, number][] = [[start, end]]
  for (let at = 0; at < ranges.length; at += 2) pairs.push([ranges[at] ?? 0, ranges[at + 1] ?? 0])
  const result: number[] = []
  for (const [from, to] of pairs.sort((a, b) => a[0] - b[0]))
    if (result.at(-1) === from) result[result.length - 1] = to
    else result.push(from, to)
  return result
}
