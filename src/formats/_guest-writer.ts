import { KiB, MiB } from '../base/units.ts'
import { UNIT } from './disk-map.ts'
import type { ExtentSink } from './_parse-stream.ts'

/** Pieces that go on where the last one ended are written together, up to this many bytes. */
const GATHER = 1 * MiB
/** A piece of this size is worth a write of its own. */
const LARGE = 256 * KiB
/** Bytes that may be on their way to the disk. */
const IN_FLIGHT = 8 * MiB

interface Target {
  /** Called one at a time. */
  write(offset: number, bytes: Uint8Array): Promise<void>
}

/**
 * Brings a guest's disk from a parser to a writer: in large pieces wherever neighbours come one after
 * the other, and while the parser reads on. Bytes must not be reused by who gives them.
 */
export class GuestWriter implements ExtentSink {
  readonly #target: Target
  #gathered = Buffer.alloc(0)
  #start = 0
  #length = 0
  /** The write that was begun last; each begins when the one before it is done. */
  #last: Promise<void> = Promise.resolve()
  #inFlight = 0
  #failed: { error: unknown } | undefined

  constructor(target: Target) {
    this.#target = target
  }

  async write(guest: number, bytes: Uint8Array): Promise<void> {
    let [at, rest] = [guest, bytes]
    if (this.#length > 0 && at !== this.#start + this.#length) await this.#flush()
    while (rest.length > 0) {
      const whole = Math.floor((at + rest.length) / UNIT) * UNIT - at
      const isDirect = this.#length === 0 && at % UNIT === 0 && whole >= LARGE
      const count = isDirect ? whole : Math.min(rest.length, GATHER - (at % GATHER))
      const part = rest.subarray(0, count)
      if (isDirect) await this.#send(at, part)
      else await this.#gather(at, part)
      at += count
      rest = rest.subarray(count)
    }
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

  /** `bytes` do not cross the end of a block of GATHER bytes. */
  async #gather(at: number, bytes: Uint8Array): Promise<void> {
    if (this.#length === 0) {
      this.#gathered = Buffer.allocUnsafeSlow(GATHER - (at % GATHER))
      this.#start = at
    }
    this.#gathered.set(bytes, this.#length)
    this.#length += bytes.length
    if (this.#length === this.#gathered.length) await this.#flush()
  }

  async #flush(): Promise<void> {
    const bytes = this.#gathered.subarray(0, this.#length)
    this.#length = 0
    if (bytes.length > 0) await this.#send(this.#start, bytes)
  }

  async #send(at: number, bytes: Uint8Array): Promise<void> {
    this.#rethrow()
    this.#inFlight += bytes.length
    this.#last = this.#writeAfter(this.#last, at, bytes)
    if (this.#inFlight > IN_FLIGHT) await this.#last
  }

  async #writeAfter(before: Promise<void>, at: number, bytes: Uint8Array): Promise<void> {
    await before
    try {
      if (!this.#failed) await this.#target.write(at, bytes)
    } catch (error) {
      this.#failed = { error }
    }
    this.#inFlight -= bytes.length
  }

  #rethrow(): void {
    if (this.#failed) throw this.#failed.error
  }
}
