import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { CONSUMED, makeRing, PRODUCED, type Ring, SLOT, SLOTS } from './_hash-ring.ts'

/** Bytes of a block. */
export const BLOCK = SLOT

/**
 * Content on its way through 16 MiB of memory that go round. Whoever brings it fills one block after
 * the other, whoever uses it finds it there, and a thread digests it meanwhile, in place: nothing is
 * copied, and nobody waits unless all blocks are in use.
 */
export class BlockRing implements AsyncDisposable {
  readonly #ring: Ring
  readonly #worker: Worker | undefined
  readonly #digest: Promise<string | undefined>
  /** Who else needs each slot. */
  readonly #users: Promise<void>[] = []
  #taken = 0
  #put = 0

  /** `algorithm`: as `node:crypto` names it; without one nothing is digested. It must be closed. */
  constructor(algorithm: string | undefined) {
    this.#ring = makeRing(algorithm ?? '')
    const worker = algorithm === undefined ? undefined : startThread(this.#ring)
    this.#worker = worker
    this.#digest = new Promise((resolve, reject) => {
      if (worker === undefined) return resolve(undefined)
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('the thread that hashes has ended')))
    })
    this.#digest.catch(() => {}) // told at the end
  }

  /** Memory for the block behind those that were taken, as soon as nobody needs what it held. */
  async take(): Promise<Buffer> {
    const number = this.#taken++
    const slot = number % SLOTS
    await this.#users[slot]
    await this.#emptied(number)
    return Buffer.from(this.#ring.data.buffer, slot * SLOT, SLOT)
  }

  /** Says that the block which was taken first of those not put yet holds `length` bytes. */
  put(length: number): void {
    this.#ring.lengths[this.#put % SLOTS] = length
    this.#put++
    Atomics.store(this.#ring.control, PRODUCED, this.#put)
    if (this.#worker === undefined) Atomics.store(this.#ring.control, CONSUMED, this.#put)
    else Atomics.notify(this.#ring.control, PRODUCED)
  }

  /** Has the block that was put last stay as it is until `done`, which does not fail. */
  keep(done: Promise<void>): void {
    this.#users[(this.#put - 1) % SLOTS] = done
  }

  /** The digest of everything that was put, hexadecimal. Blocks taken and not put are given up. */
  async end(): Promise<string | undefined> {
    await this.#emptied(this.#put)
    this.put(0)
    return await this.#digest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate()
  }

  /** Waits until the thread is done with what stood in the slot of this block before. */
  async #emptied(number: number): Promise<void> {
    for (;;) {
      const consumed = Atomics.load(this.#ring.control, CONSUMED)
      if (number - consumed < SLOTS) return
      const change = Atomics.waitAsync(this.#ring.control, CONSUMED, consumed)
      // A thread that broke never empties a slot.
      if (change.async) await Promise.race([change.value, this.#digest])
    }
  }
}

function startThread(ring: Ring): Worker {
  const file = new URL(`./_hash-thread${extname(import.meta.filename)}`, import.meta.url)
  return new Worker(file, { workerData: ring })
}
