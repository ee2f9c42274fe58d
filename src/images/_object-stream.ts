import { BLOCK, type DigestRing } from '../bytes/digest-threads.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from '../formats/disk-map.ts'
import { splitZeros } from '../formats/zero-units.ts'
import type { ObjectWriter } from '../stores/store.ts'

interface StreamOptions {
  readonly ring: DigestRing
  /** Without one the content is only digested. */
  readonly writer?: Required<ObjectWriter> | undefined
  /** Looks at each block before it is passed on. */
  readonly look?: ((block: Buffer) => Promise<void>) | undefined
  /** Told before so many bytes are taken; fails when they are too many. */
  readonly demandRoom?: ((size: number) => void) | undefined
}

/**
 * Content on its way to an object, first byte to last. It is copied once, into blocks that are digested,
 * looked at and written from where they stand; runs of zeros are not written.
 */
export class ObjectStream implements AsyncDisposable {
  readonly #options: StreamOptions
  readonly #units = new DiskMapBuilder()
  #block: Buffer | undefined
  #filled = 0
  /** Bytes that have been passed on, and are in the block. */
  #position = 0
  /** Writes that were begun; each begins when the one before it is done. */
  #writes: Promise<void> = Promise.resolve()
  #failed: { error: unknown } | undefined

  constructor(options: StreamOptions) {
    this.#options = options
  }

  /** Bytes so far. */
  get size(): number {
    return this.#position
  }

  /**
   * Takes the next bytes, which may be reused when this is done: at once, if it returns nothing. One at a
   * time. Fails, late, with what the writer fails with.
   */
  write(bytes: Uint8Array): Promise<void> | void {
    this.#options.demandRoom?.(this.#position + bytes.length)
    const block = this.#block
    if (block === undefined || this.#filled + bytes.length > BLOCK) return this.#writeParts(bytes)
    block.set(bytes, this.#filled)
    this.#filled += bytes.length
    this.#position += bytes.length
  }

  /** As `write`, of zeros. */
  async zeros(length: number): Promise<void> {
    if (length === 0) return
    const { ring, writer, demandRoom } = this.#options
    demandRoom?.(this.#position + length)
    await this.#pass()
    await ring.zeros(length)
    const at = this.#position
    this.#position += length
    this.#begin(async () => await writer?.zeros(at, length))
  }

  /** Drops the last `length` bytes; false when they have been passed on. */
  drop(length: number): boolean {
    if (length > this.#filled) return false
    this.#filled -= length
    this.#position -= length
    return true
  }

  /** Waits until everything is written; the digests that the ring computes, and what is not zeros. */
  async end(): Promise<{ digests: string[]; map: DiskMap }> {
    await this.#pass()
    await this.#writes
    this.#rethrow()
    return { digests: await this.#options.ring.end(), map: this.#units.toMap(this.#position) }
  }

  /** Waits until nothing is written any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes
  }

  async #writeParts(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#filled === BLOCK) await this.#pass()
      this.#block ??= await this.#options.ring.take()
      const part = bytes.subarray(done, done + BLOCK - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.length
      this.#position += part.length
      done += part.length
    }
  }

  /** Passes the block on. */
  async #pass(): Promise<void> {
    this.#rethrow()
    const block = this.#block?.subarray(0, this.#filled)
    if (block === undefined || block.length === 0) return
    const { ring, writer, look } = this.#options
    const start = this.#position - block.length
    this.#block = undefined
    this.#filled = 0
    ring.put(block.length)
    if (writer) this.#begin(() => this.#writeRuns(writer, block, start))
    ring.keep(this.#writes)
    await look?.(block)
  }

  async #writeRuns(writer: Required<ObjectWriter>, block: Buffer, offset: number): Promise<void> {
    for (const { start, end, zero } of splitZeros(block, offset))
      if (zero) await writer.zeros(offset + start, end - start)
      else {
        this.#units.add(Math.floor((offset + start) / UNIT), Math.ceil((offset + end) / UNIT))
        await writer.write(offset + start, block.subarray(start, end))
      }
  }

  #begin(work: () => Promise<void>): void {
    const before = this.#writes
    this.#writes = (async () => {
      await before
      try {
        if (!this.#failed) await work()
      } catch (error) {
        this.#failed = { error }
      }
    })()
  }

  #rethrow(): void {
    if (this.#failed) throw this.#failed.error
  }
}
