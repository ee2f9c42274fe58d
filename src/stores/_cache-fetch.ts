/**
 * One fetch of an image into the cache, and those who read meanwhile: from the file as far as it has grown.
 * Whatever happens to the file, they get their bytes: then from the store.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { MiB } from '../base/units.ts'
import { writeAll } from '../bytes/sinks.ts'
import { checkRange, type DirectSource, readAnew, readInto, type Source } from '../bytes/source.ts'
import { Watermark } from '../bytes/watermark.ts'

const PIECE = 1 * MiB
/** Who wants bytes so far behind what has come does not wait for them. */
const FAR = 64 * MiB

/** The file that is filled, and what becomes of it. */
export interface FetchPlan {
  readonly path: string
  /** Takes the whole file in. */
  keep(size: number): Promise<void>
  /** It could not be filled or kept. */
  onFailure(error: unknown): void
  /** It is over, for good or ill: who comes now begins anew. */
  onEnd(): void
}

export class CacheFetch {
  readonly #plan: FetchPlan
  readonly #below: Promise<Source>
  readonly #mark = new Watermark()
  #file: FileHandle | undefined
  #running: Promise<boolean> | undefined
  #readers = 0
  /** Somebody reads it, or will. */
  #isWanted = true
  #isKept = true
  #closed: Promise<void> | undefined

  constructor(below: Promise<Source>, plan: FetchPlan) {
    this.#below = below
    this.#plan = plan
  }

  /** Whether it is for those who come later too. */
  get isKept(): boolean {
    return this.#isKept
  }

  /** Resolves to the size, in bytes, once the store has opened it. Everyone who joins leaves. Fails as the store does. */
  async join(): Promise<number> {
    this.#readers++
    try {
      return (await this.#below).size
    } catch (error) {
      this.#readers--
      this.#plan.onEnd()
      throw error
    }
  }

  /** When the last one leaves before all of it has come, it is given up. */
  async leave(): Promise<void> {
    this.#readers--
    const { size } = await this.#below
    if (this.#readers > 0) return
    if (this.#mark.at < size || !this.#running) this.stop()
    await this.#running
    if (this.#readers === 0) await (this.#closed ??= this.#close())
  }

  /** Goes on for whoever reads, but is not kept. */
  forget(): void {
    this.#isKept = false
  }

  /** Ends soon; whoever reads goes on without it. */
  stop(): void {
    this.#isWanted = false
    this.#plan.onEnd()
  }

  /** Fetches it, if nobody has begun to. Whether it was kept. */
  run(): Promise<boolean> {
    return (this.#running ??= this.#run())
  }

  /** Fills `target` if it can from what has come, or comes soon. */
  async serve(target: Uint8Array, offset: number): Promise<boolean> {
    void this.run()
    const end = offset + target.length
    if (this.#mark.hasFailed || end > this.#mark.at + FAR) return false
    try {
      await this.#mark.reach(end)
      for (let done = 0; done < target.length;) {
        const { bytesRead } = await this.#file!.read(
          target,
          done,
          target.length - done,
          offset + done,
        )
        if (bytesRead === 0) return false
        done += bytesRead
      }
      return true
    } catch {
      return false // whoever filled it has told why
    }
  }

  async #run(): Promise<boolean> {
    const { path, keep, onFailure, onEnd } = this.#plan
    try {
      const below = await this.#below
      this.#checkWanted()
      this.#file = await open(path, 'wx+', 0o600)
      await this.#fill(this.#file, below)
      await this.#file.datasync()
      if (!this.#isKept) throw new Error('it was removed meanwhile')
      await keep(below.size)
      return true
    } catch (error) {
      this.#mark.fail(error)
      await rm(path, { force: true }).catch(onFailure)
      if (this.#isWanted && this.#isKept) onFailure(error)
      return false
    } finally {
      onEnd()
    }
  }

  async #fill(file: FileHandle, below: Source): Promise<void> {
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, below.size))
    for (let at = 0; at < below.size;) {
      this.#checkWanted()
      const bytes = piece.subarray(0, below.size - at)
      await readInto(below, bytes, at)
      await writeAll(file, bytes, at)
      at += bytes.length
      this.#mark.advance(at)
    }
  }

  #checkWanted(): void {
    if (!this.#isWanted) throw new Error('nobody reads it any more')
  }

  async #close(): Promise<void> {
    await this.#file?.close()
    const below = await this.#below
    await below[Symbol.asyncDispose]()
  }
}

const close = (source: Source) => source[Symbol.asyncDispose]()

/** What one reader of a fetch has: a source that is always there. It joined before, and leaves when it is closed. */
export function followFetch(
  fetch: CacheFetch,
  { size, name, open }: { size: number; name: string; open: () => Promise<Source> },
): Source {
  let own: Promise<Source> | undefined
  let left: Promise<void> | undefined
  const fill = async (target: Uint8Array, offset: number) => {
    checkRange(source, offset, target.length)
    if (left) throw new Error(`${name} is closed`)
    if (await fetch.serve(target, offset)) return
    await readInto(await (own ??= open()), target, offset)
  }
  const source: DirectSource = {
    name,
    size,
    read: (offset, length) => readAnew(source, offset, length),
    readInto: fill,
    [Symbol.asyncDispose]: async () => {
      left ??= fetch.leave()
      await Promise.all([left, own?.then(close, () => {})])
    },
  }
  return source
}
