import { KiB, MiB } from '../base/units.ts'
import type { ExtentSink } from './_parse-stream.ts'

/** Pieces that go on where the last one ended are written together, up to this many bytes. */
const GATHER = 1 * MiB
/** Pieces of this size are written from where they stand. */
const LARGE = 256 * KiB
/** Writes that may be on their way to the disk. */
const IN_FLIGHT = 8

interface Target {
  /** Called one at a time. */
  write(offset: number, bytes: Uint8Array): Promise<void>
}

/**
 * Brings a guest's disk from a parser to a writer while the parser reads on: large pieces from where
 * they stand, and small ones, where neighbours come one after the other, together.
 */
export class GuestWriter implements ExtentSink {
  readonly #target: Target
  readonly #free: Buffer[] = []
  #gathered: Buffer | undefined
  #start = 0
  #length = 0
  /** The write that was begun last; each begins when the one before it is done. */
  #last: Promise<void> = Promise.resolve()
  #inFlight = 0
  #failed: { error: unknown } | undefined

  constructor(target: Target) {
    this.#target = target
  }

  /**
   * `bytes` have to stay as they are until what `settled` is from then on is done. Fails, late, with
   * what the writer fails with.
   */
  async write(guest: number, bytes: Uint8Array): Promise<void> {
    const follows = this.#length > 0 && guest === this.#start + this.#length
    if (this.#length > 0 && (!follows || bytes.length >= LARGE)) await this.#flush()
    if (bytes.length >= LARGE) return await this.#begin(guest, bytes)
    for (let done = 0; done < bytes.length;) {
      if (this.#length === 0) this.#start = guest + done
      this.#gathered ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(GATHER)
      const room = GATHER - (this.#start % GATHER) - this.#length
      const part = bytes.subarray(done, done + room)
      this.#gathered.set(part, this.#length)
      this.#length += part.length
      done += part.length
      if (part.length === room) await this.#flush()
    }
  }

  /** Done when no bytes are needed any more that were given so far; it does not fail. */
  get settled(): Promise<void> {
    return this.#last
  }

  /** Waits for everything that was written. */
  async end(): Promise<void> {
    await this.#flush()
    await this.#last
    this.#rethrow()
  }

  /** Waits for writes that nobody wants any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
  }

  async #flush(): Promise<void> {
    const buffer = this.#gathered
    if (buffer === undefined) return
    this.#gathered = undefined
    const length = this.#length
    this.#length = 0
    await this.#begin(this.#start, buffer.subarray(0, length), buffer)
  }

  async #begin(guest: number, bytes: Uint8Array, buffer?: Buffer): Promise<void> {
    this.#rethrow()
    this.#inFlight++
    this.#last = this.#writeAfter(this.#last, guest, bytes, buffer)
    if (this.#inFlight >= IN_FLIGHT) await this.#last
  }

  async #writeAfter(
    before: Promise<void>,
    guest: number,
    bytes: Uint8Array,
    buffer: Buffer | undefined,
  ): Promise<void> {
    await before
    try {
      if (!this.#failed) await this.#target.write(guest, bytes)
    } catch (error) {
      this.#failed = { error }
    }
    this.#inFlight--
    if (buffer) this.#free.push(buffer)
  }

  #rethrow(): void {
    if (this.#failed) throw this.#failed.error
  }
}
