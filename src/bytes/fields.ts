import { Failure, type FailureCode } from '../base/failure.ts'

type Encoding = 'latin1' | 'utf8' | 'utf16le'

/**
 * A binary structure in memory, read field by field at offsets inside it. Nothing outside its bytes
 * can be read, no number loses digits, and each fault says at which byte of the whole file it is.
 */
export class Fields {
  /** What failures call it: `qcow2 header`. */
  readonly name: string
  readonly bytes: Uint8Array
  /** Where the structure stands in the file or disk. */
  readonly start: number
  readonly #view: DataView
  readonly #buffer: Buffer
  readonly #little: boolean

  constructor(
    bytes: Uint8Array,
    place: { name: string; start?: number; order?: 'little' | 'big' },
  ) {
    this.name = place.name
    this.bytes = bytes
    this.start = place.start ?? 0
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#little = place.order !== 'big'
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#check(at, 1))
  }

  u16(at: number): number {
    return this.#view.getUint16(this.#check(at, 2), this.#little)
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#check(at, 4), this.#little)
  }

  /** All 64 bits. */
  u64(at: number): bigint {
    return this.#view.getBigUint64(this.#check(at, 8), this.#little)
  }

  /** 64 bits that count or place something. Fails with IMAGE_UNSAFE from 2^53 on. */
  size(at: number): number {
    const value = this.u64(at)
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw this.fault('IMAGE_UNSAFE', at, `${value} is more than any disk has`)
    return Number(value)
  }

  slice(at: number, length: number): Uint8Array {
    const from = this.#check(at, length)
    return this.bytes.subarray(from, from + length)
  }

  /** Text of `length` bytes. */
  chars(at: number, length: number, encoding: Encoding = 'latin1'): string {
    const from = this.#check(at, length)
    return this.#buffer.toString(encoding, from, from + length)
  }

  /** Text of at most `length` bytes, up to the first NUL. */
  text(at: number, length: number, encoding: Encoding = 'latin1'): string {
    const text = this.chars(at, length, encoding)
    const end = text.indexOf('\0')
    return end < 0 ? text : text.slice(0, end)
  }

  /** Whether these bytes, as Latin-1 text, stand at `at`; also asked behind the end. */
  holds(at: number, magic: string): boolean {
    return this.#buffer.toString('latin1', at, at + magic.length) === magic
  }

  /** A part as a structure of its own. */
  part(name: string, at: number, length: number): Fields {
    const order = this.#little ? 'little' : 'big'
    return new Fields(this.slice(at, length), { name, start: this.start + at, order })
  }

  /** A failure about what stands at `at`, and what would help. */
  fault(code: FailureCode, at: number, message: string, fix?: string): Failure {
    const offset = this.start + at
    const text = `${this.name}, byte ${offset}: ${message}`
    return new Failure(code, text, { details: { offset }, ...(fix === undefined ? {} : { fix }) })
  }

  #check(at: number, length: number): number {
    if (Number.isSafeInteger(at) && at >= 0 && length >= 0 && at + length <= this.bytes.length)
      return at
    throw this.fault(
      'IMAGE_UNSAFE',
      at,
      `a field of ${length} bytes is not inside the ${this.bytes.length} bytes of the structure`,
    )
  }
}
