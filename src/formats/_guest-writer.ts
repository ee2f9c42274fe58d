import { MiB } from '../base/units.ts'
import type { ExtentSink } from './_parse-stream.ts'

/** Pieces that go on where the last one ended are written together, up to this many bytes. */
const GATHER = 1 * MiB
/** Buffers that may be on their way to the disk. */
const IN_FLIGHT = 8

interface Target {
  /** Called one at a time. */
  write(offset: number, bytes: Uint8Array): Promise<void>
}

/**
 * Brings a guest's disk from a parser to a writer: in large pieces wherever neighbours come one after
 * the other, and while the parser reads on. What it is given is copied into buffers that go round, so
 * whoever gives it may do the same: that costs less than new memory for every piece.
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

  /** `bytes` may be reused when this is done. Fails, late, with what the writer fails with. */
  async write(guest: number, bytes: Uint8Array): Promise<void> {
    if (this.#length > 0 && guest !== this.#start + this.#length) await this.#flush()
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
    this.#rethrow()
    const buffer = this.#gathered
    if (buffer === undefined) return
    this.#inFlight++
    this.#last = this.#writeAfter(this.#last, buffer, this.#length)
    this.#gathered = undefined
    this.#length = 0
    if (this.#inFlight >= IN_FLIGHT) await this.#last
  }

  async #writeAfter(before: Promise<void>, buffer: Buffer, length: number): Promise<void> {
    const start = this.#start
    await before
    try {
      if (!this.#failed) await this.#target.write(start, buffer.subarray(0, length))
    } catch (error) {
      this.#failed = { error }
    }
    this.#inFlight--
    this.#free.push(buffer)
  }

  #rethrow(): void {
    if (this.#failed) throw this.#failed.error
  }
}
