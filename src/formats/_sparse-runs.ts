import type { Fields } from '../bytes/fields.ts'

/** Runs of data that a sparse file may have: 32 MiB of memory. */
const MAX_RUNS = 2 * 1024 * 1024
const ENTRY = 24

/**
 * The list of data of a sparse file in a tar archive of GNU's old form, entry by entry as it comes: offset
 * in the file and length, 12 bytes each. They must go upwards and stay inside the file.
 */
export class SparseRuns {
  #offsets = new Float64Array(256)
  #lengths = new Float64Array(256)
  #count = 0
  #end = 0
  #total = 0

  get count(): number {
    return this.#count
  }

  /** Where the last run ends in the file, and the bytes of all of them. */
  get end(): number {
    return this.#end
  }

  get total(): number {
    return this.#total
  }

  offset(index: number): number {
    return this.#offsets[index] ?? Infinity
  }

  length(index: number): number {
    return this.#lengths[index] ?? 0
  }

  /** Takes `count` entries from byte `at` of a block on; what is wrong with them. */
  read(block: Fields, at: number, count: number): 'invalid' | 'overlap' | 'too many' | undefined {
    for (let index = 0; index < count; index++) {
      const entry = at + index * ENTRY
      if (block.slice(entry, ENTRY).every((byte) => byte === 0)) return undefined
      const offset = tarNumberOf(block, entry)
      const length = tarNumberOf(block, entry + 12)
      if (offset === undefined || length === undefined) return 'invalid'
      if (offset < this.#end) return 'overlap'
      if (!Number.isSafeInteger(offset + length)) return 'invalid'
      if (this.#count === MAX_RUNS) return 'too many'
      this.#add(offset, length)
    }
    return undefined
  }

  #add(offset: number, length: number): void {
    if (this.#count === this.#offsets.length) {
      this.#offsets = grown(this.#offsets)
      this.#lengths = grown(this.#lengths)
    }
    this.#offsets[this.#count] = offset
    this.#lengths[this.#count] = length
    this.#count++
    this.#end = offset + length
    this.#total += length
  }
}

function grown(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(values.length * 2)
  larger.set(values)
  return larger
}

/** A number of 12 bytes: octal digits; or, with the top bit set, base 256 (up to 2^53). */
export function tarNumberOf(header: Fields, at: number): number | undefined {
  const first = header.u8(at)
  if ((first & 0x80) !== 0) {
    let value = 0
    for (let byte = at + 1; byte < at + 12; byte++) value = value * 256 + header.u8(byte)
    return first === 0x80 && Number.isSafeInteger(value) ? value : undefined
  }
  const digits = /^ *([0-7]{0,12})[ \0]*$/.exec(header.chars(at, 12))
  return digits ? Number.parseInt(digits[1] || '0', 8) : undefined
}
