/**
 * Begins to write a view while its disk is still being looked at. Where everything goes depends on which
 * units hold data, so it is guessed that all do which are no holes; that is what images look like which
 * were written with care. Where the guess turns out wrong, what was written is thrown away.
 */
import type { FileHandle } from 'node:fs/promises'
import { isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { DiskMap } from './disk-map.ts'
import type { ScanListener } from './golden.ts'
import type { View } from './view.ts'
import { makeView } from './views.ts'
import { copiesOf, Parts, type ViewOrigins } from './_write-view.ts'

/** As much is copied without looking whether it may be. */
const STEP = 8 * MiB

export class WriteAhead implements ScanListener {
  readonly #format: string
  readonly #origins: ViewOrigins
  readonly #file: FileHandle
  readonly #parts: Parts
  #guessed: DiskMap | undefined
  /** What was guessed below this byte of the disk is right. */
  #seen = 0
  #isOver = false
  #wake: () => void = () => {}
  #writing: Promise<void> = Promise.resolve()
  #copied = 0
  #failed: { error: unknown } | undefined

  constructor(format: string, origins: ViewOrigins, to: { file: FileHandle; parts: Parts }) {
    this.#format = format
    this.#origins = origins
    this.#file = to.file
    this.#parts = to.parts
  }

  guess(map: DiskMap): void {
    try {
      const view = makeView(this.#format, { map, identity: '' })
      this.#guessed = map
      this.#writing = this.#write(view).catch((error: unknown) => void (this.#failed = { error }))
    } catch (error) {
      if (!isFailure(error)) throw error // it will be said of the disk as it is
    }
  }

  seen(end: number): void {
    this.#seen = end
    this.#wake()
  }

  /**
   * Stops, since the disk is known now; up to which byte of the disk its copies stand in the file. Fails
   * as copying does.
   */
  async end(map: DiskMap): Promise<number> {
    await this.settle()
    if (this.#guessed === undefined) return 0
    if (this.#guessed.digest === map.digest) {
      if (this.#failed) throw this.#failed.error
      return this.#copied
    }
    await this.#file.truncate(0)
    this.#parts.forget()
    return 0
  }

  /** Waits until nothing is under way. */
  async settle(): Promise<void> {
    this.#isOver = true
    this.#wake()
    await this.#writing
    await this.#parts.settle()
  }

  async #write(view: View): Promise<void> {
    for (const { offset, source, target, length } of copiesOf(view, this.#origins))
      for (let done = 0; done < length;) {
        const count = Math.min(STEP, length - done)
        if (!(await this.#mayCopyTo(offset + done + count))) return
        for (let added = 0; added < count;) {
          const at = done + added
          added += this.#parts.add(source + at, target + at, count - added)
          if (this.#parts.isFull) await this.#parts.copy()
        }
        done += count
        this.#copied = offset + done
      }
  }

  /** Waits until the disk was looked at up to there; meanwhile what is there already is copied. */
  async #mayCopyTo(end: number): Promise<boolean> {
    while (!this.#isOver && this.#seen < end) {
      if (this.#parts.isEmpty)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      else await this.#parts.copy()
    }
    return !this.#isOver
  }
}
