import { createHash, type Hash } from 'node:crypto'
import { type DigestMemory, FILLED } from './_digest-memory.ts'

const ZEROS = new Uint8Array(256 * 1024)

/** One digest of what goes through a ring, block after block, wherever that is computed. */
export class DigestBlocks {
  readonly #hash: Hash
  readonly #memory: DigestMemory
  readonly #done: number
  #count = 0

  /** `done`: index in `control` where it counts. Throws if there is no such algorithm. */
  constructor(algorithm: string, memory: DigestMemory, done: number) {
    this.#hash = createHash(algorithm)
    this.#memory = memory
    this.#done = done
  }

  /** Digests the next block: whether there was one; at the end, the digest. */
  next(): boolean | string {
    const { control, lengths, data, block } = this.#memory
    if (this.#count === Atomics.load(control, FILLED)) return false
    const slot = this.#count % lengths.length
    const length = lengths[slot] ?? 0
    if (length > 0) this.#hash.update(data.subarray(slot * block, slot * block + length))
    for (let left = -length; left > 0; left -= ZEROS.length)
      this.#hash.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
    this.#count++
    const digest = length === 0 ? this.#hash.digest('hex') : true
    Atomics.store(control, this.#done, this.#count)
    Atomics.notify(control, this.#done)
    return digest
  }
}
