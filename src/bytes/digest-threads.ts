/**
 * Digests computed beside everything else: content goes through a ring of shared memory, and for each
 * digest of it a thread takes one block after the other, in place. Threads are few, started when they are
 * needed, and serve many contents at once, since starting one costs more than a small content. One that is known to
 * be small is digested where it is: to wake threads for it costs more.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { KiB, MiB } from '../base/units.ts'
import { DigestBlocks } from './_digest-blocks.ts'
import {
  type DigestAnswer,
  type DigestMemory,
  type DigestOrder,
  type DigestThreadData,
  DONE,
  FILLED,
} from './_digest-memory.ts'

/** Measured: with smaller ones waking the threads costs more than what they are woken for. */
export const BLOCK = 1 * MiB
const BLOCKS = 4
/** Of such a content digests take half a millisecond. */
const SMALL = 128 * KiB
/** Memory of rings that is kept for the next ones; of small contents little of it is ever used. */
const MOST_SPARE = { large: 8, small: 32 }

export class DigestThreads implements AsyncDisposable {
  readonly #most: number
  readonly #threads: DigestThread[] = []
  readonly #spare = {
    large: new Array<Uint8Array<SharedArrayBuffer>>(),
    small: new Array<Uint8Array<SharedArrayBuffer>>(),
  }

  /** `most` threads at a time. Default: one for each processor, at least two. */
  constructor(most: number = Math.max(2, availableParallelism())) {
    this.#most = most
  }

  /**
   * A ring of 4 MiB for one content, to be digested by each of the algorithms of `node:crypto`. `size`: bytes of the
   * content at most, if that is known.
   */
  ring(algorithms: readonly string[], size = Infinity): DigestRing {
    const kind = size <= SMALL ? 'small' : 'large'
    const spare = this.#spare[kind]
    const memory: DigestMemory = {
      control: new Int32Array(new SharedArrayBuffer(4 * (DONE + algorithms.length))),
      lengths: new Float64Array(new SharedArrayBuffer(8 * BLOCKS)),
      data: spare.pop() ?? allocatePages(BLOCKS * BLOCK),
      block: BLOCK,
    }
    const jobs = algorithms.map((algorithm, index) =>
      kind === 'small'
        ? digestHere(algorithm, memory, DONE + index)
        : this.#freest().begin(algorithm, memory, DONE + index),
    )
    return new DigestRing(memory, jobs, (data) => {
      if (spare.length < MOST_SPARE[kind]) spare.push(data)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread[Symbol.asyncDispose]()))
  }

  #freest(): DigestThread {
    const living = this.#threads.filter(({ hasEnded }) => !hasEnded)
    this.#threads.splice(0, Infinity, ...living)
    const [freest] = living.toSorted((one, other) => one.jobs - other.jobs)
    if (freest !== undefined && (freest.jobs === 0 || living.length >= this.#most)) return freest
    const thread = new DigestThread()
    this.#threads.push(thread)
    return thread
  }
}

/** As much of it as is used here: the types of Node leave it to browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number; shared: true }) => {
    readonly buffer: SharedArrayBuffer
  }
}
const PAGE = 64 * KiB

/**
 * Shared memory that begins where a page does, so that files can be written from it past the kernel's cache: only
 * that of WebAssembly is known to.
 */
function allocatePages(length: number): Uint8Array<SharedArrayBuffer> {
  const pages = length / PAGE
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  return new Uint8Array(buffer)
}

/** Content on its way to one digest, seen from the ring. */
interface DigestJob {
  /** Index in `control`. */
  readonly done: number
  readonly digest: Promise<string>
  ring(): void
  drop(): void
}

/** A digest that is computed as blocks come, by whoever brings them. */
function digestHere(algorithm: string, memory: DigestMemory, done: number): DigestJob {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  promise.catch(() => {}) // told to whoever ends or fills the ring
  let blocks: DigestBlocks | undefined
  try {
    blocks = new DigestBlocks(algorithm, memory, done)
  } catch (error) {
    reject(error)
  }
  const ring = () => {
    for (
      let digest = blocks?.next();
      digest !== false && digest !== undefined;
      digest = blocks?.next()
    )
      if (typeof digest === 'string') return resolve(digest)
  }
  return { done, digest: promise, ring, drop: () => {} }
}

/**
 * Whoever brings content fills one block after the other, whoever else uses it finds it there, and the
 * threads digest it meanwhile: nothing is copied, and nobody waits unless all blocks are in use. It
 * must be closed.
 */
export class DigestRing implements AsyncDisposable {
  readonly #memory: DigestMemory
  readonly #jobs: readonly DigestJob[]
  readonly #release: (data: Uint8Array<SharedArrayBuffer>) => void
  /** Who else needs each block. */
  readonly #users: Promise<void>[] = []
  #taken = 0
  #put = 0
  #open = true

  constructor(
    memory: DigestMemory,
    jobs: readonly DigestJob[],
    release: (data: Uint8Array<SharedArrayBuffer>) => void,
  ) {
    this.#memory = memory
    this.#jobs = jobs
    this.#release = release
  }

  /** Memory for the block behind those that were taken, as soon as nobody needs what it held. */
  async take(): Promise<Buffer> {
    const number = this.#taken++
    const slot = number % BLOCKS
    await this.#users[slot]
    await this.#emptied(number)
    return Buffer.from(this.#memory.data.buffer, slot * BLOCK, BLOCK)
  }

  /** Says that the block which was taken first of those not put yet holds `length` bytes. */
  put(length: number): void {
    const { control, lengths } = this.#memory
    lengths[this.#put % BLOCKS] = length
    Atomics.store(control, FILLED, ++this.#put)
    for (const job of this.#jobs) job.ring()
  }

  /** Puts zeros that stand in no memory. Every block that was taken has been put. */
  async zeros(length: number): Promise<void> {
    const number = this.#taken++
    await this.#emptied(number)
    this.put(-length)
  }

  /** Has the block that was put last stay as it is until `done`, which does not fail. */
  keep(done: Promise<void>): void {
    this.#users[(this.#put - 1) % BLOCKS] = done
  }

  /** Digests of everything that was put, hexadecimal. Blocks taken and not put are given up. */
  async end(): Promise<string[]> {
    await this.#emptied(this.#put)
    this.put(0)
    return await Promise.all(this.#jobs.map(({ digest }) => digest))
  }

  /** Waits for those who keep blocks. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    for (const job of this.#jobs) job.drop()
    await Promise.allSettled(this.#users)
    this.#release(this.#memory.data)
  }

  /** Waits until the threads are done with what stood in the slot of this block before. */
  async #emptied(number: number): Promise<void> {
    const { control } = this.#memory
    for (const { done, digest } of this.#jobs)
      for (;;) {
        const count = Atomics.load(control, done)
        if (number - count < BLOCKS) break
        const change = Atomics.waitAsync(control, done, count)
        // A thread that broke never empties a block.
        if (change.async) await Promise.race([change.value, digest])
      }
  }
}

/** A thread, and what it is at work on. */
class DigestThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #bell = new Int32Array(new SharedArrayBuffer(4))
  readonly #waiting = new Map<number, PromiseWithResolvers<string>>()
  #begun = 0
  hasEnded = false

  constructor() {
    const { port1, port2 } = new MessageChannel()
    const file = new URL(`./_digest-thread${extname(import.meta.filename)}`, import.meta.url)
    const workerData: DigestThreadData = { bell: this.#bell, port: port2 }
    this.#worker = new Worker(file, { workerData, transferList: [port2] })
    this.#port = port1
    port1.on('message', (answer: DigestAnswer) => this.#answered(answer))
    this.#worker.on('error', (error: Error) => this.#end(error))
    this.#worker.on('exit', () => this.#end(new Error('the thread that digests has ended')))
    this.#rest()
  }

  get jobs(): number {
    return this.#waiting.size
  }

  begin(algorithm: string, memory: DigestMemory, done: number): DigestJob {
    const id = this.#begun++
    const waiting = Promise.withResolvers<string>()
    waiting.promise.catch(() => {}) // told to whoever ends or fills the ring
    this.#waiting.set(id, waiting)
    this.#worker.ref() // the process must not end while somebody waits for it
    this.#tell({ kind: 'begin', id, algorithm, memory, done })
    return {
      done,
      digest: waiting.promise,
      ring: () => this.#ring(),
      drop: () => {
        if (!this.#waiting.delete(id)) return
        this.#tell({ kind: 'drop', id })
        this.#rest()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }

  #tell(order: DigestOrder): void {
    this.#port.postMessage(order)
    this.#ring()
  }

  #ring(): void {
    Atomics.add(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
  }

  #answered({ id, digest, error }: DigestAnswer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (digest !== undefined) waiting?.resolve(digest)
    else waiting?.reject(new Error(error))
    this.#rest()
  }

  /** Does not keep the process alive while nothing is under way. */
  #rest(): void {
    if (this.#waiting.size > 0) return
    this.#worker.unref()
    this.#port.unref()
  }

  #end(error: Error): void {
    this.hasEnded = true
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#port.close()
  }
}
