import { MAX_TAIL } from './parser.ts'

/** The last bytes of a stream. */
export class StreamTail {
  readonly #bytes = Buffer.alloc(MAX_TAIL)

  push(chunk: Uint8Array): void {
    const part = chunk.subarray(Math.max(0, chunk.length - MAX_TAIL))
    if (part.length < MAX_TAIL) this.#bytes.copyWithin(0, part.length)
    this.#bytes.set(part, MAX_TAIL - part.length)
  }

  /** Bytes of a stream that is at `position`; undefined when they are not among the last. */
  read(at: number, length: number, position: number): Uint8Array | undefined {
    const start = at - position + MAX_TAIL
    if (at < 0 || start < 0 || start + length > MAX_TAIL) return undefined
    return Buffer.from(this.#bytes.subarray(start, start + length))
  }
}
