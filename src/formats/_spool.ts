import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { asFileFailure, Failure } from '../base/failure.ts'
import { formatSize, KiB, MiB } from '../base/units.ts'

/** Bytes that are kept in memory before a file is made, and written at once from then on. */
const BLOCK = 4 * MiB
/** Runs of bytes that follow each other in the stream. 24 bytes of memory each. */
const MAX_RUNS = 1024 * KiB
const ZEROS = Buffer.alloc(64 * KiB)

export interface SpoolOptions {
  /** Where the file is made. It has no name from its first moment on, so nothing is left behind. */
  readonly directory: string
  /** Bytes it may hold. */
  readonly limit: number
  readonly newId: () => string
}

/**
 * Bytes of a stream that are put aside until somebody knows what they are. They are appended to a
 * log, the first few MiB in memory and the rest in a file; zeros cost nothing. Positions are those
 * in the stream.
 */
export class Spool {
  readonly #options: SpoolOptions
  /** Runs: position in the stream, place in the log (-1: zeros), length. */
  #runs = new Float64Array(3 * 256)
  #count = 0
  #file: FileHandle | undefined
  /** The end of the log, which is not in the file yet, and where it begins. */
  #block = Buffer.alloc(0)
  #blockStart = 0
  #used = 0

  constructor(options: SpoolOptions) {
    this.#options = options
  }

  /** Puts bytes aside that stand at `position`, behind everything that was appended before. */
  async append(position: number, bytes: Uint8Array): Promise<void> {
    if (isZeros(bytes)) return this.#addRun(position, -1, bytes.length)
    this.#addRun(position, this.#blockStart + this.#used, bytes.length)
    for (let done = 0; done < bytes.length;) {
      if (this.#used === this.#block.length) await this.#makeRoom()
      const part = bytes.subarray(done, done + this.#block.length - this.#used)
      this.#block.set(part, this.#used)
      this.#used += part.length
      done += part.length
    }
  }

  /** The bytes of the stream from `position` on; undefined unless all of them were put aside. */
  async read(position: number, length: number): Promise<Uint8Array | undefined> {
    const bytes = Buffer.allocUnsafeSlow(length)
    let run = this.#find(position)
    for (let done = 0; done < length; run++) {
      const [start, place, size] = this.#runAt(run)
      const inside = position + done - start
      if (run >= this.#count || inside < 0 || inside >= size) return undefined
      const part = bytes.subarray(done, Math.min(length, done + size - inside))
      if (place < 0) part.fill(0)
      else await this.#readLog(part, place + inside)
      done += part.length
    }
    return bytes
  }

  /** How many bytes from `position` on were put aside, as far as is known at once; 0 when none were. */
  held(position: number): number {
    const run = this.#find(position)
    const [start, , length] = this.#runAt(run)
    return run < this.#count && start <= position ? start + length - position : 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async #readLog(target: Uint8Array, place: number): Promise<void> {
    const inFile = Math.max(0, Math.min(target.length, this.#blockStart - place))
    for (let done = 0; done < inFile;) {
      const read = await this.#file?.read(target, done, inFile - done, place + done)
      if (!read?.bytesRead) throw new Error(`the spool has no byte ${place + done}`)
      done += read.bytesRead
    }
    if (inFile === target.length) return
    const from = place + inFile - this.#blockStart
    target.set(this.#block.subarray(from, from + target.length - inFile), inFile)
  }

  /** Makes the block larger as long as it is small, then writes it. */
  async #makeRoom(): Promise<void> {
    if (this.#block.length < BLOCK) {
      const larger = Buffer.allocUnsafeSlow(Math.max(64 * KiB, this.#block.length * 4))
      larger.set(this.#block)
      this.#block = larger
      return
    }
    if (this.#blockStart + this.#used > this.#options.limit)
      throw new Failure(
        'IMAGE_UNSAFE',
        `more than ${formatSize(this.#options.limit)} stand before the tables that tell what they are`,
        { details: { finding: 'LIMIT_REACHED' } },
      )
    const path = join(this.#options.directory, `ingot-spool-${this.#options.newId()}`)
    try {
      if (this.#file === undefined) {
        this.#file = await open(path, 'wx+', 0o600)
        await unlink(path)
      }
      for (let done = 0; done < this.#used;) {
        const at = this.#blockStart + done
        const { bytesWritten } = await this.#file.write(this.#block, done, this.#used - done, at)
        done += bytesWritten
      }
    } catch (error) {
      throw asFileFailure(error, path)
    }
    this.#blockStart += this.#used
    this.#used = 0
  }

  #addRun(position: number, place: number, length: number): void {
    const [lastStart, lastPlace, lastLength] = this.#runAt(this.#count - 1)
    const follows = this.#count > 0 && lastStart + lastLength === position
    if (
      follows &&
      (place < 0 ? lastPlace < 0 : lastPlace >= 0 && lastPlace + lastLength === place)
    ) {
      this.#runs[this.#count * 3 - 1] = lastLength + length
      return
    }
    if (this.#count === MAX_RUNS)
      throw new Failure('IMAGE_UNSAFE', 'the content is in too many scattered pieces', {
        details: { finding: 'LIMIT_REACHED' },
      })
    if ((this.#count + 1) * 3 > this.#runs.length) {
      const larger = new Float64Array(this.#runs.length * 2)
      larger.set(this.#runs)
      this.#runs = larger
    }
    this.#runs.set([position, place, length], this.#count * 3)
    this.#count++
  }

  #runAt(index: number): [number, number, number] {
    const at = index * 3
    return [this.#runs[at] ?? 0, this.#runs[at + 1] ?? 0, this.#runs[at + 2] ?? 0]
  }

  /** The run that holds this position, or the first one behind it. */
  #find(position: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      const [start, , length] = this.#runAt(middle)
      if (start + length > position) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Only asked of what is large enough to be worth it. */
function isZeros(bytes: Uint8Array): boolean {
  if (bytes.length < 4 * KiB) return false
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length)
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false
  }
  return true
}
