/**
 * Objects that are sent in parts: what is written is gathered in memory until a part is full, and some parts
 * are on their way at a time. An object that fits in one part is sent as one. Parts stay in memory until they
 * have arrived, so that sending one can be tried again.
 */
import { createHash } from 'node:crypto'
import { MiB } from '../../base/units.ts'
import type { ObjectWriter } from '../store.ts'

/** Bytes on their way, and their MD5. */
export interface Part {
  readonly bytes: Uint8Array
  readonly md5: Buffer
}

/** Where parts go. What it is given is not used for anything else before it resolves. */
export interface PartTarget {
  /** Bytes of the part with this number, from 1. */
  sizeOf(number: number): number
  /** All of the object. */
  putWhole(content: Part, signal: AbortSignal): Promise<void>
  /** Before the first part. */
  begin(signal: AbortSignal): Promise<void>
  putPart(number: number, part: Part, signal: AbortSignal): Promise<void>
  /** Makes one object of the parts. */
  complete(size: number, signal: AbortSignal): Promise<void>
  /** Removes whatever is there of it. Called when something was sent, and nothing is on its way. */
  clear(): Promise<void>
}

/** Parts on their way take no more memory than this, unless a single one does, */
const IN_FLIGHT_BYTES = 64 * MiB
/** and are no more than these. */
const IN_FLIGHT_PARTS = 3

/** A writer, in order, of an object at `target`. `size`: when it is known, no more memory is taken. */
export function writeParts(target: PartTarget, size = Number.POSITIVE_INFINITY): ObjectWriter {
  return new PartWriter(target, size)
}

class PartWriter implements ObjectWriter {
  readonly #target: PartTarget
  readonly #size: number
  readonly #stop = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  /** Memory of parts that have arrived. */
  readonly #spare: Buffer[] = []
  #failure: { readonly error: unknown } | undefined
  /** The part that is being filled: its memory, as far as it is filled, and the digest of that. */
  #buffer: Buffer = Buffer.alloc(0)
  #filled = 0
  #digest = createHash('md5')
  /** Parts that were sent, and the bytes in them. */
  #parts = 0
  #sent = 0
  #touched = false
  #ended = false

  constructor(target: PartTarget, size: number) {
    this.#target = target
    this.#size = size
    this.#buffer = this.#newBuffer()
  }

  async write(_offset: number, bytes: Uint8Array): Promise<void> {
    this.#throwFailure()
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === this.#buffer.length) await this.#send()
      const piece = bytes.subarray(at, at + this.#buffer.length - this.#filled)
      this.#buffer.set(piece, this.#filled)
      this.#digest.update(piece)
      this.#filled += piece.length
      at += piece.length
    }
  }

  async finish(size: number): Promise<void> {
    const { signal } = this.#stop
    this.#throwFailure()
    if (this.#sent + this.#filled !== size)
      throw new Error(`${this.#sent + this.#filled} bytes were written of ${size}`)
    if (this.#parts === 0) {
      this.#touched = true
      await this.#target.putWhole(this.#takePart(), signal)
    } else {
      if (this.#filled > 0) await this.#send()
      await Promise.all(this.#underWay)
      this.#throwFailure()
      await this.#target.complete(size, signal)
    }
    this.#end()
  }

  async discard(): Promise<void> {
    if (this.#ended) return
    this.#stop.abort()
    await Promise.all(this.#underWay)
    if (this.#touched) await this.#target.clear()
    this.#end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.discard()
  }

  /** Sends what is filled, once there is room on the way. */
  async #send(): Promise<void> {
    const { signal } = this.#stop
    if (!this.#touched) {
      this.#touched = true
      await this.#target.begin(signal)
    }
    const room = Math.floor(IN_FLIGHT_BYTES / this.#buffer.length)
    const limit = Math.max(1, Math.min(IN_FLIGHT_PARTS, room))
    while (this.#underWay.size >= limit) await Promise.race(this.#underWay)
    this.#throwFailure()
    const part = this.#takePart()
    const memory = this.#buffer
    this.#parts++
    this.#sent += part.bytes.length
    const sending: Promise<void> = this.#target
      .putPart(this.#parts, part, signal)
      .then(
        () => void this.#spare.push(memory),
        (error: unknown) => void (this.#failure ??= { error }),
      )
      .finally(() => this.#underWay.delete(sending))
    this.#underWay.add(sending)
    this.#buffer = this.#newBuffer()
    this.#filled = 0
  }

  #takePart(): Part {
    const md5 = this.#digest.digest()
    this.#digest = createHash('md5')
    return { bytes: this.#buffer.subarray(0, this.#filled), md5 }
  }

  #newBuffer(): Buffer {
    const rest = this.#size > this.#sent ? this.#size - this.#sent : Number.POSITIVE_INFINITY
    const length = Math.min(this.#target.sizeOf(this.#parts + 1), rest)
    const spare = this.#spare.pop()
    if (spare?.length === length) return spare
    return Buffer.allocUnsafeSlow(length)
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #end(): void {
    this.#ended = true
    this.#spare.length = 0
    this.#buffer = Buffer.alloc(0)
  }
}

/**
 * Sizes of parts, such that the largest object fits into `most` of them: even when its size is known; else
 * doubling ten times, so that what is small has small parts.
 */
export function planParts(first: number, most: number, size?: number): (number: number) => number {
  if (size !== undefined && size > first * most) {
    const even = Math.ceil(size / most / MiB) * MiB
    return () => even
  }
  if (size !== undefined) return () => first
  return (number) => first * 2 ** Math.floor((number - 1) / (most / 10))
}
