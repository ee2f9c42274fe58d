import { KiB } from './units.ts'

/**
 * Keeps what a process prints as far as it is reasonable: the first and the last half of about
 * `limit` bytes. Output that fits is kept whole. Copied into blocks, so that a process that prints
 * byte by byte costs no more memory than one that prints much at once.
 */
export class BoundedOutput {
  readonly #blockSize: number
  /** How many blocks are kept of the beginning, and how many full ones of the end. */
  readonly #half: number
  readonly #blocks: Buffer[] = []
  /** Bytes in the last block; the others are full. */
  #fill: number
  #dropped = 0

  constructor(limit: number) {
    this.#blockSize = Math.min(64 * KiB, Math.max(1, Math.ceil(limit / 2)))
    this.#half = Math.ceil(limit / 2 / this.#blockSize)
    this.#fill = this.#blockSize
  }

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#fill === this.#blockSize) this.#startBlock()
      const piece = chunk.subarray(at, at + this.#blockSize - this.#fill)
      this.#blocks.at(-1)!.set(piece, this.#fill)
      this.#fill += piece.length
      at += piece.length
    }
  }

  /** What was kept, with a line that says how much was not. */
  toBuffer(): Buffer {
    const kept = this.#blocks.map((block, index) =>
      index === this.#blocks.length - 1 ? block.subarray(0, this.#fill) : block,
    )
    if (this.#dropped > 0)
      kept.splice(this.#half, 0, Buffer.from(`\n[… ${this.#dropped} bytes left out …]\n`))
    return Buffer.concat(kept)
  }

  #startBlock(): void {
    if (this.#blocks.length > 2 * this.#half) {
      this.#blocks.splice(this.#half, 1)
      this.#dropped += this.#blockSize
    }
    this.#blocks.push(Buffer.allocUnsafe(this.#blockSize))
    this.#fill = 0
  }
}
