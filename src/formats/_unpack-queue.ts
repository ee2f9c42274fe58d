import { isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Extent } from './parser.ts'
import { unpackExtent } from './_unpack-extent.ts'

/** Bytes of clusters that may be on their way. */
const IN_FLIGHT = 8 * MiB

interface Unpacking {
  readonly guest: number
  readonly length: number
  /** Undefined when the payload was damaged. */
  readonly bytes: Promise<Uint8Array | undefined>
}

interface Outlet {
  write(guest: number, bytes: Uint8Array): void | Promise<void>
  damaged(host: number, why: string): void
}

/**
 * Compressed clusters on their way through the thread pool: many at once, but written one after the
 * other and in the order in which they were added.
 */
export class UnpackQueue {
  readonly #outlet: Outlet
  #waiting: Unpacking[] = []
  #inFlight = 0

  constructor(outlet: Outlet) {
    this.#outlet = outlet
  }

  /** Whether it is time to `settle`. */
  get isFull(): boolean {
    return this.#inFlight > IN_FLIGHT
  }

  /** Unpacks a payload, whose bytes are the queue's from now on. */
  add(extent: Exclude<Extent, { kind: 'data' }>, payload: Uint8Array): void {
    const bytes = unpackExtent(payload, extent).catch((error: unknown) => {
      if (!isFailure(error, 'IMAGE_UNSAFE')) throw error
      this.#outlet.damaged(extent.host, error.message)
      return undefined
    })
    bytes.catch(() => {}) // whoever settles is told
    this.#waiting.push({ guest: extent.guest, length: extent.length, bytes })
    this.#inFlight += extent.length
  }

  /** Writes what comes out, until no more than `limit` bytes are on their way. */
  async settle(limit: number = IN_FLIGHT / 2): Promise<void> {
    let done = 0
    for (const { guest, length, bytes } of this.#waiting) {
      if (this.#inFlight <= limit) break
      const unpacked = await bytes
      if (unpacked) await this.#outlet.write(guest, unpacked)
      this.#inFlight -= length
      done++
    }
    this.#waiting = this.#waiting.slice(done)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#waiting.map(({ bytes }) => bytes))
  }
}
