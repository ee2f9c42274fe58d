import type { Log } from '../base/log.ts'
import { messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Guard } from './_guard.ts'
import type { ObjectWriter, StoreCounters } from './store.ts'

const ZEROS = Buffer.alloc(1 * MiB)

/** The object that is written, and the store it goes to. */
export interface WriterPlace {
  readonly key: string
  readonly anyOrder: boolean
  readonly guard: Guard
  readonly counters: StoreCounters
  readonly log: Log
}

/**
 * A writer behind the gate: it takes one call at a time, in order where the place wants that, writes zeros
 * where the driver cannot make them, and lets nothing happen after the end.
 */
export class GatedWriter implements Required<ObjectWriter> {
  readonly #below: ObjectWriter
  readonly #place: WriterPlace
  /** Behind the last byte that was written or made zero. */
  #end = 0
  #underWay: Promise<void> | undefined
  #ended = false

  constructor(below: ObjectWriter, place: WriterPlace) {
    this.#below = below
    this.#place = place
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#during('writing', async () => {
      this.#advance(offset, bytes.length)
      if (bytes.length > 0) await this.#below.write(offset, bytes)
      this.#place.counters.bytesWritten += bytes.length
    })
  }

  zeros(offset: number, length: number): Promise<void> {
    return this.#during('writing', async () => {
      this.#advance(offset, length)
      await this.#putZeros(offset, length)
    })
  }

  async finish(size: number): Promise<void> {
    try {
      await this.#during('finishing', async () => {
        const drops = size < this.#end && !this.#place.anyOrder
        if (!Number.isSafeInteger(size) || size < 0 || drops)
          throw new RangeError(`an object of ${this.#end} bytes cannot end at byte ${size}`)
        if (!this.#place.anyOrder) await this.#putZeros(this.#end, size - this.#end)
        await this.#below.finish(size)
        this.#ended = true
        this.#place.counters.created++
      })
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async discard(): Promise<void> {
    await this.#underWay?.catch(() => {})
    if (this.#ended) return
    this.#ended = true
    const { guard, key } = this.#place
    await guard(`discarding ${key}`, () => this.#below.discard())
  }

  /** What cannot be discarded now is found later, among what nobody names. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.discard()
    } catch (error) {
      this.#place.log.warn('store.leftover', { key: this.#place.key, error: messageOf(error) })
    }
  }

  async #during(what: string, work: () => Promise<void>): Promise<void> {
    const { guard, key } = this.#place
    if (this.#ended) throw new Error(`${what} ${key}: it has ended`)
    if (this.#underWay) throw new Error(`${what} ${key}: one call at a time`)
    this.#underWay = guard(`${what} ${key}`, work)
    try {
      await this.#underWay
    } finally {
      this.#underWay = undefined
    }
  }

  #advance(offset: number, length: number): void {
    const isInside = Number.isSafeInteger(offset + length) && offset >= 0 && length >= 0
    if (!isInside || (!this.#place.anyOrder && offset !== this.#end))
      throw new RangeError(
        `wanted to write ${length} bytes at ${offset}, which is not at ${this.#end}`,
      )
    this.#end = Math.max(this.#end, offset + length)
  }

  async #putZeros(offset: number, length: number): Promise<void> {
    if (this.#below.zeros) {
      if (length > 0) await this.#below.zeros(offset, length)
      return
    }
    for (let done = 0; done < length;) {
      const bytes = ZEROS.subarray(0, length - done)
      await this.#below.write(offset + done, bytes)
      this.#place.counters.bytesWritten += bytes.length
      done += bytes.length
    }
  }
}
