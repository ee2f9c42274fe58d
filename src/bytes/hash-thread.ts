import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CONSUMED, makeRing, PRODUCED, type Ring, SLOT, SLOTS } from './_hash-ring.ts'

/**
 * A digest that is computed beside everything else: bytes are copied into a ring of 8 MiB that a
 * thread of its own reads, so whoever writes waits only when hashing is slower than he is.
 */
export class HashThread implements AsyncDisposable {
  readonly #ring: Ring
  readonly #worker: Worker
  readonly #digest: Promise<string>
  #slot = 0
  #used = 0

  /** `algorithm`: as `node:crypto` names it. It must be closed. */
  constructor(algorithm = 'sha256') {
    this.#ring = makeRing(algorithm)
    const file = new URL(`./_hash-thread${extname(import.meta.filename)}`, import.meta.url)
    this.#worker = new Worker(file, { workerData: this.#ring })
    this.#digest = new Promise((resolve, reject) => {
      this.#worker.once('message', resolve)
      this.#worker.once('error', reject)
      this.#worker.once('exit', () => reject(new Error('the thread that hashes has ended')))
    })
    this.#digest.catch(() => {}) // told at the end
  }

  /** Takes the next bytes; they may be reused when this is done. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#used === 0) await this.#freeSlot()
      const part = bytes.subarray(done, done + SLOT - this.#used)
      this.#ring.data.set(part, (this.#slot % SLOTS) * SLOT + this.#used)
      this.#used += part.length
      done += part.length
      if (this.#used === SLOT) this.#publish()
    }
  }

  /** The digest of everything that was written, hexadecimal. */
  async end(): Promise<string> {
    if (this.#used > 0) this.#publish()
    await this.#freeSlot()
    this.#publish()
    return await this.#digest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }

  /** Waits until the thread has emptied the slot that comes next. */
  async #freeSlot(): Promise<void> {
    for (;;) {
      const consumed = Atomics.load(this.#ring.control, CONSUMED)
      if (this.#slot - consumed < SLOTS) return
      const change = Atomics.waitAsync(this.#ring.control, CONSUMED, consumed)
      // A thread that broke never empties a slot.
      if (change.async) await Promise.race([change.value, this.#digest])
    }
  }

  #publish(): void {
    this.#ring.lengths[this.#slot % SLOTS] = this.#used
    this.#used = 0
    this.#slot++
    Atomics.store(this.#ring.control, PRODUCED, this.#slot)
    Atomics.notify(this.#ring.control, PRODUCED)
  }
}
