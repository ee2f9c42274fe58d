/**
 * Copies parts of one file into another, as fast as the kernel takes them: it moves the bytes itself
 * where both files allow that; else they are read and written here.
 */
import { read, write } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { asFileFailure, Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import type { FileCalls } from './file-calls.ts'

/** A file, and what failures call it. */
export interface NamedFile {
  readonly descriptor: number
  readonly name: string
}

/**
 * Parts under way. The kernel lets only one write into a file at a time, but a second one is there when
 * the first leaves: a fifth less time, for more of the processor. A third gains nothing.
 */
const LANES = 2
/** Most of one, so that an interruption is heard. */
const LONGEST = 16 * MiB
/** Shorter parts are copied at once: handing them to another thread takes longer. */
const SHORT = 256 * KiB
/** Between two turns of the event loop: this many bytes of short parts. */
const TURN = 8 * MiB
/** Of a buffer, where the bytes come through here. */
const BUFFER = 2 * MiB
/** The kernel copies pages; where those would have to be put together from two, it is slower than we are. */
const PAGE = 4096

const readInto = promisify(read)
const writeFrom = promisify(write)

export class PartCopier {
  readonly #from: NamedFile
  readonly #to: NamedFile
  readonly #signal: AbortSignal
  /** Undefined once the kernel has refused. */
  #calls: FileCalls | undefined
  readonly #underWay = new Set<Promise<void>>()
  readonly #spare: Buffer[] = []
  #failed: { error: unknown } | undefined
  #turn = 0

  constructor(
    from: NamedFile,
    to: NamedFile,
    { calls, signal }: { calls: FileCalls | undefined; signal: AbortSignal },
  ) {
    this.#from = from
    this.#to = to
    this.#calls = calls
    this.#signal = signal
  }

  /**
   * Copies `length` bytes from one place to another; resolves when the next part may come. Fails with
   * INTERRUPTED, NO_SPACE, IMAGE_TRUNCATED, FILE_UNREADABLE, of this part or one before it.
   */
  async copy(source: number, target: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const count = Math.min(length - done, this.#calls ? LONGEST : BUFFER)
      if (!this.#copyShort(source + done, target + done, count))
        await this.#start(source + done, target + done, count)
      else if ((this.#turn += count) >= TURN) {
        this.#turn = 0
        await setImmediate()
        this.#check()
      }
      done += count
    }
  }

  /** Waits until everything is copied. Fails as `copy` does. */
  async end(): Promise<void> {
    await this.settle()
    this.#check()
  }

  /** Waits until nothing is under way, whatever came of it: then the files may be closed. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #check(): void {
    if (this.#failed) throw this.#failed.error
    if (this.#signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
  }

  /** Whether the part was so short that it is copied already. */
  #copyShort(source: number, target: number, length: number): boolean {
    if (this.#calls === undefined || length > SHORT) return false
    const from = { descriptor: this.#from.descriptor, offset: source }
    const to = { descriptor: this.#to.descriptor, offset: target }
    return this.#calls.copyNow(from, to, length) === length // the plain way tells why it is not
  }

  async #start(source: number, target: number, length: number): Promise<void> {
    while (this.#underWay.size >= LANES) await Promise.race(this.#underWay)
    this.#check()
    const done = this.#carryOut(source, target, length)
      .catch((error: unknown) => void (this.#failed ??= { error }))
      .finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async #carryOut(source: number, target: number, length: number): Promise<void> {
    const isEven = (target - source) % PAGE === 0
    let done = isEven ? await this.#copyByKernel(source, target, length) : 0
    if (done === length) return
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER)
    for (; done < length; done += Math.min(BUFFER, length - done)) {
      const bytes = buffer.subarray(0, length - done)
      await this.#fill(bytes, source + done)
      await this.#drain(bytes, target + done)
    }
    this.#spare.push(buffer)
  }

  /** How much of it the kernel has copied: not all of it once it refuses. */
  async #copyByKernel(source: number, target: number, length: number): Promise<number> {
    let done = 0
    while (this.#calls !== undefined && done < length) {
      const from = { descriptor: this.#from.descriptor, offset: source + done }
      const to = { descriptor: this.#to.descriptor, offset: target + done }
      const count = await this.#calls.copy(from, to, length - done)
      if (count === 0) this.#calls = undefined
      done += count
    }
    return done
  }

  async #fill(bytes: Buffer, place: number): Promise<void> {
    const { descriptor, name } = this.#from
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await readInto(
          descriptor,
          bytes,
          done,
          bytes.length - done,
          place + done,
        )
        if (bytesRead === 0)
          throw new Failure('IMAGE_TRUNCATED', `${name} ends before byte ${place + bytes.length}`)
        done += bytesRead
      }
    } catch (error) {
      throw asFileFailure(error, name)
    }
  }

  async #drain(bytes: Buffer, place: number): Promise<void> {
    const { descriptor, name } = this.#to
    try {
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done
        const { bytesWritten } = await writeFrom(descriptor, bytes, done, left, place + done)
        done += bytesWritten
      }
    } catch (error) {
      throw asFileFailure(error, name)
    }
  }
}
