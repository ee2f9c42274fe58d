/**
 * The frozen truth about which parts of a guest's disk hold data: one bit for each unit of 64 KiB,
 * with the two questions every format asks of it answered fast. `rank`: how many data units stand
 * before this one (so: at which place of the file it goes). `select`: which unit is the n-th.
 *
 * A map comes from content, found while the disk was written, never from the holes of a file alone:
 * those depend on the state of the page cache. Memory is 1/8 byte a unit and does not depend on
 * fragmentation: 4.3 MiB for 2 TiB.
 */
import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import { Failure } from '../base/failure.ts'
import { KiB, TiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'

/** Bytes of a unit, unless a map was made coarser. */
export const UNIT = 64 * KiB

/** More than any format holds, and within what numbers count exactly. */
const MAX_SIZE = 1024 * TiB
/** Data units before each block of this many units are counted once. */
const BLOCK_UNITS = 512
const BLOCK_WORDS = BLOCK_UNITS / 32

export class DiskMap {
  /** Bytes of the guest's disk; the last unit may be short. */
  readonly size: number
  /** Bytes of a unit: a power of two. */
  readonly unit: number
  /** Units of the disk, and how many of them hold data. */
  readonly units: number
  readonly dataUnits: number
  readonly #words: Uint32Array
  /** Data units before each block. */
  readonly #before: Uint32Array
  readonly #coarser = new Map<number, DiskMap>()
  #digest: string | undefined

  /** `words`: bit `n % 32` of word `n / 32` is unit `n`. They are kept, not copied. */
  constructor(size: number, words: Uint32Array, unit: number = UNIT) {
    const units = Math.ceil(size / unit)
    if (!Number.isSafeInteger(size) || size < 0 || words.length !== Math.ceil(units / 32))
      throw new RangeError(
        `a map of ${words.length * 32} bits cannot be of a disk of ${size} bytes`,
      )
    this.size = size
    this.unit = unit
    this.units = units
    this.#words = words
    if (units % 32 !== 0 && words.length > 0)
      words[words.length - 1] = wordAt(words, words.length - 1) & (2 ** (units % 32) - 1)
    this.#before = new Uint32Array(Math.ceil(words.length / BLOCK_WORDS) + 1)
    let count = 0
    for (let word = 0; word < words.length; word++) {
      if (word % BLOCK_WORDS === 0) this.#before[word / BLOCK_WORDS] = count
      count += ones(wordAt(words, word))
    }
    this.#before[this.#before.length - 1] = count
    this.dataUnits = count
  }

  /** Whether a unit holds data; no unit behind the end does. */
  has(unit: number): boolean {
    if (unit < 0 || unit >= this.units) return false
    return ((wordAt(this.#words, Math.floor(unit / 32)) >>> (unit % 32)) & 1) === 1
  }

  /** Data units before this one. `unit` may be `units`. */
  rank(unit: number): number {
    const word = Math.floor(unit / 32)
    const block = Math.floor(word / BLOCK_WORDS)
    let count = this.#before[block] ?? this.dataUnits
    for (let at = block * BLOCK_WORDS; at < word; at++) count += ones(wordAt(this.#words, at))
    const rest = unit % 32
    return rest === 0 ? count : count + ones(wordAt(this.#words, word) & (2 ** rest - 1))
  }

  /** The unit that holds data and has `rank` data units before it. `rank` is below `dataUnits`. */
  select(rank: number): number {
    if (!Number.isInteger(rank) || rank < 0 || rank >= this.dataUnits)
      throw new RangeError(`there is no data unit ${rank} among ${this.dataUnits}`)
    let low = 0
    let high = this.#before.length - 1
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#before[middle] ?? 0) <= rank) low = middle
      else high = middle
    }
    let left = rank - (this.#before[low] ?? 0)
    for (let word = low * BLOCK_WORDS; ; word++) {
      const bits = wordAt(this.#words, word)
      const count = ones(bits)
      if (left < count) return word * 32 + bitAt(bits, left)
      left -= count
    }
  }

  /** The first unit from `unit` on that holds data (or does not); `units` if there is none. */
  next(unit: number, data: boolean): number {
    const flip = data ? 0 : 0xffffffff
    let word = Math.floor(unit / 32)
    if (word >= this.#words.length) return this.units
    let bits = ((wordAt(this.#words, word) ^ flip) & (0xffffffff << (unit % 32))) >>> 0
    while (bits === 0) {
      if (++word >= this.#words.length) return this.units
      bits = (wordAt(this.#words, word) ^ flip) >>> 0
    }
    return Math.min(word * 32 + 31 - Math.clz32(bits & -bits), this.units)
  }

  /** The runs of data, as bytes of the disk; the last one ends with the disk. */
  *extents(): Generator<{ offset: number; length: number }> {
    for (let unit = this.next(0, true); unit < this.units;) {
      const end = this.next(unit, false)
      const offset = unit * this.unit
      yield { offset, length: Math.min(end * this.unit, this.size) - offset }
      unit = this.next(end, true)
    }
  }

  /** The same disk in larger units: one holds data if any of its parts does. Made once, and kept. */
  coarser(unit: number): DiskMap {
    const known = unit === this.unit ? this : this.#coarser.get(unit)
    if (known !== undefined) return known
    const factor = unit / this.unit
    if (!Number.isInteger(factor) || factor < 1 || !Number.isInteger(Math.log2(factor)))
      throw new RangeError(`units of ${this.unit} bytes cannot be joined to ${unit}`)
    const words = new Uint32Array(Math.ceil(Math.ceil(this.size / unit) / 32))
    if (factor >= 32) joinWords(this.#words, words, factor / 32)
    else joinBits(this.#words, words, factor)
    const made = new DiskMap(this.size, words, unit)
    this.#coarser.set(unit, made)
    return made
  }

  /** Hexadecimal SHA-256 of the map as bytes: equal for equal maps, on every machine. */
  get digest(): string {
    this.#digest ??= createHash('sha256').update(this.toBytes()).digest('hex')
    return this.#digest
  }

  /**
   * The map as it is stored beside an image. Little-endian.
   *
   * | offset | size | field                                     |
   * | ------ | ---- | ----------------------------------------- |
   * | 0      | 8    | `IngotMap`                                |
   * | 8      | 4    | version: 1                                |
   * | 12     | 4    | bytes of a unit                           |
   * | 16     | 8    | bytes of the disk                         |
   * | 24     | 8    | data units (a check)                      |
   * | 32     | ...  | one bit a unit, in whole words of 4 bytes |
   */
  toBytes(): Buffer {
    const bytes = Buffer.alloc(32 + this.#words.length * 4)
    bytes.write('IngotMap', 0, 'latin1')
    bytes.writeUInt32LE(1, 8)
    bytes.writeUInt32LE(this.unit, 12)
    bytes.writeBigUInt64LE(BigInt(this.size), 16)
    bytes.writeBigUInt64LE(BigInt(this.dataUnits), 24)
    const { buffer, byteOffset, byteLength } = this.#words
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), 32)
    if (endianness() === 'BE') bytes.subarray(32).swap32()
    return bytes
  }
}

/** A map as `toBytes` gave it. Fails with IMAGE_UNSAFE when it is none, or is damaged. */
export function parseDiskMap(bytes: Uint8Array, name: string): DiskMap {
  const fields = new Fields(bytes, { name })
  if (!fields.holds(0, 'IngotMap') || fields.u32(8) !== 1)
    throw fields.fault('IMAGE_UNSAFE', 0, 'this is no map of a disk (version 1)')
  const unit = fields.u32(12)
  const size = fields.size(16)
  if (unit < 512 || !Number.isInteger(Math.log2(unit)))
    throw fields.fault('IMAGE_UNSAFE', 12, `units of ${unit} bytes`)
  const words = Math.ceil(Math.ceil(size / unit) / 32)
  if (size > MAX_SIZE || bytes.length !== 32 + words * 4)
    throw fields.fault(
      'IMAGE_UNSAFE',
      16,
      `${bytes.length} bytes are no map of a ${size} byte disk`,
    )
  const bits = Buffer.from(new ArrayBuffer(words * 4))
  bits.set(bytes.subarray(32))
  if (endianness() === 'BE') bits.swap32()
  const map = new DiskMap(size, new Uint32Array(bits.buffer), unit)
  if (map.dataUnits !== fields.size(24))
    throw fields.fault('IMAGE_UNSAFE', 24, `${map.dataUnits} bits are set, not ${fields.size(24)}`)
  return map
}

/** Collects the units that hold data, in any order, for a disk that may still grow. */
export class DiskMapBuilder {
  readonly unit: number
  #words: Uint32Array<ArrayBuffer>

  constructor(unit: number = UNIT) {
    this.unit = unit
    this.#words = new Uint32Array(1024)
  }

  /** Marks the units from `first` up to `end` (not included). */
  add(first: number, end: number = first + 1): void {
    this.#reserve(end)
    for (let unit = first; unit < end; unit++) {
      const word = Math.floor(unit / 32)
      this.#words[word] = wordAt(this.#words, word) | (1 << (unit % 32))
    }
  }

  /** Whether a unit is marked. */
  has(unit: number): boolean {
    return ((wordAt(this.#words, Math.floor(unit / 32)) >>> (unit % 32)) & 1) === 1
  }

  /** Takes the mark from a unit. */
  remove(unit: number): void {
    const word = Math.floor(unit / 32)
    if (word < this.#words.length)
      this.#words[word] = wordAt(this.#words, word) & ~(1 << (unit % 32))
  }

  /** The map of a disk of `size` bytes; marks behind its end are dropped. */
  toMap(size: number): DiskMap {
    const units = Math.ceil(size / this.unit)
    this.#reserve(units)
    return new DiskMap(size, this.#words.slice(0, Math.ceil(units / 32)), this.unit)
  }

  #reserve(units: number): void {
    const words = Math.ceil(units / 32)
    if (words <= this.#words.length) return
    if (units * this.unit > MAX_SIZE)
      throw new Failure('IMAGE_UNSAFE', `a disk of ${units * this.unit} bytes is more than any has`)
    const larger = new Uint32Array(Math.max(words, this.#words.length * 2))
    larger.set(this.#words)
    this.#words = larger
  }
}

/** Sets a bit of `to` for each `span` words of `from` of which one is not zero. */
function joinWords(from: Uint32Array, to: Uint32Array, span: number): void {
  for (let start = 0, unit = 0; start < from.length; start += span, unit++) {
    const end = Math.min(start + span, from.length)
    let word = start
    while (word < end && from[word] === 0) word++
    if (word < end) to[unit >>> 5] = wordAt(to, unit >>> 5) | (1 << (unit & 31))
  }
}

/** Sets a bit of `to` for each `factor` bits of `from` (2 to 16) of which one is set. */
function joinBits(from: Uint32Array, to: Uint32Array, factor: number): void {
  const parts = 32 / factor
  const mask = 2 ** factor - 1
  for (let word = 0; word < from.length; word++) {
    let rest = wordAt(from, word)
    if (rest === 0) continue
    let joined = 0
    for (let part = 0; part < parts; part++) {
      if ((rest & mask) !== 0) joined |= 1 << part
      rest >>>= factor
    }
    const at = (word * parts) >>> 5
    to[at] = wordAt(to, at) | (joined << ((word * parts) & 31))
  }
}

function wordAt(words: Uint32Array, index: number): number {
  return words[index] ?? 0
}

/** How many bits are set. */
function ones(bits: number): number {
  let count = bits - ((bits >>> 1) & 0x55555555)
  count = (count & 0x33333333) + ((count >>> 2) & 0x33333333)
  return (((count + (count >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24
}

/** The place of the set bit that has `rank` set bits below it. */
function bitAt(bits: number, rank: number): number {
  let rest = bits
  for (let skipped = 0; skipped < rank; skipped++) rest &= rest - 1
  return 31 - Math.clz32(rest & -rest)
}
