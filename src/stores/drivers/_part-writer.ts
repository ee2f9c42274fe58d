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

/** Parts of one writer that are in memory at a time: on their way, or being filled. */
const MOST_IN_MEMORY = 3

/**
 * Memory that all writers of a store share for their parts. Each has one part, however much that is; more than
 * one only while there is room.
 */
export class PartMemory {
  #left: number

  constructor(bytes = 96 * MiB) {
    this.#left = bytes
  }

  /** Whether there was room; `must`: it is taken anyhow. */
  take(bytes: number, must: boolean): boolean {
    if (!must && bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}

/** A writer, in order, of an object at `target`. `size`: when it is known, no more memory is taken. */
export function writeParts(
  target: PartTarget,
  memory: PartMemory,
  size = Number.POSITIVE_INFINITY,
): ObjectWriter {
  return new PartWriter(target, memory, size)
}

class PartWriter implements ObjectWriter {
  readonly #target: PartTarget
  readonly #memory: PartMemory
  readonly #size: number
  readonly #stop = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  /** Memory of parts that have arrived. */
  readonly #spare: Buffer[] = []
  #failure: { readonly error: unknown } | undefined
  /** The part that is being filled: its memory, as far as it is filled, and the digest of that. */
  #buffer: Buffer
  #filled = 0
  #digest = createHash('md5')
  /** Parts that were sent, and the bytes in them. */
  #parts = 0
  #sent = 0
  #touched = false
  #ended = false

  constructor(target: PartTarget, memory: PartMemory, size: number) {
    this.#target = target
    this.#memory = memory
    this.#size = size
    const length = this.#nextLength()
    memory.take(length, true)
    this.#buffer = Buffer.allocUnsafeSlow(length)
  }

  async write(_offset: number, bytes: Uint8Array): Promise<void> {
    this.#throwFailure()
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === this.#buffer.length) {
        await this.#send()
        this.#buffer = await this.#nextBuffer()
      }
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

  /** Begins to send what is filled. */
  async #send(): Promise<void> {
    const { signal } = this.#stop
    if (!this.#touched) {
      this.#touched = true
      await this.#target.begin(signal)
    }
    const buffer = this.#buffer
    const part = this.#takePart()
    this.#parts++
    this.#sent += part.bytes.length
    const sending: Promise<void> = this.#target
      .putPart(this.#parts, part, signal)
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => {
        this.#underWay.delete(sending)
        this.#spare.push(buffer)
      })
    this.#underWay.add(sending)
    this.#filled = 0
    this.#buffer = Buffer.alloc(0)
  }

  /** Memory of a part that has arrived, or more; if there is no more, the next that arrives. */
  async #nextBuffer(): Promise<Buffer> {
    const length = this.#nextLength()
    for (;;) {
      this.#throwFailure()
      const spare = this.#spare.pop()
      if (spare?.length === length) return spare
      if (spare) this.#memory.give(spare.length)
      const isFree = this.#underWay.size === 0
      const mayBeMore = isFree || this.#underWay.size < MOST_IN_MEMORY
      if (mayBeMore && this.#memory.take(length, isFree)) return Buffer.allocUnsafeSlow(length)
      await Promise.race(this.#underWay)
    }
  }

  /** Bytes of the part that comes next. */
  #nextLength(): number {
    const rest = this.#size > this.#sent ? this.#size - this.#sent : Number.POSITIVE_INFINITY
    return Math.min(this.#target.sizeOf(this.#parts + 1), rest)
  }

  #takePart(): Part {
    const md5 = this.#digest.digest()
    this.#digest = createHash('md5')
    return { bytes: this.#buffer.subarray(0, this.#filled), md5 }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #end(): void {
    this.#ended = true
    for (const { length } of [this.#buffer, ...this.#spare]) this.#memory.give(length)
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
