/**
 * Looks which units of a disk hold data, in a file that can be read anywhere. The first sector of a
 * unit nearly always tells; it is read at once, since anything else would take longer than reading it.
 * Only units that begin with zeros are read whole, several at a time and by other threads.
 */
import { read, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { asFileFailure, Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { NamedFile } from '../bytes/part-copier.ts'
import { HEAD, HeadSums } from './_disk-name.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import { isZero, splitZeros } from './zero-units.ts'

/** A part of a disk: where it stands there and in the file. */
export interface DiskPart {
  readonly guest: number
  readonly host: number
  readonly length: number
}

/** Units that are read whole: so many bytes at once, and so many reads at the same time. */
const BLOCK = 1 * MiB
const READS = 3
/** Milliseconds between two turns of the event loop, and units between two looks at the clock. */
const TURN_MS = 2
const LOOKS = 64

const readInto = promisify(read)

export class DiskScan {
  readonly #file: NamedFile
  readonly #signal: AbortSignal
  readonly #onSeen: (end: number) => void
  readonly #units = new DiskMapBuilder()
  readonly #sums = new HeadSums()
  readonly #head = Buffer.allocUnsafeSlow(HEAD)
  /** Begins with zeros, as far as it is known; it is read when it is a block, or ends. */
  #doubtful: DiskPart = { guest: 0, host: 0, length: 0 }
  readonly #underWay = new Map<DiskPart, Promise<void>>()
  #lookedTo = 0
  #firstZeros = Infinity
  readonly #spare: Buffer[] = []
  #failed: { error: unknown } | undefined
  #turnEnds = performance.now() + TURN_MS
  #looks = 0

  /** `onSeen` hears up to where no zeros were found, from time to time. */
  constructor(file: NamedFile, signal: AbortSignal, onSeen: (end: number) => void) {
    this.#file = file
    this.#signal = signal
    this.#onSeen = onSeen
  }

  /** Looks at a part; they come in the order of the disk. Fails with INTERRUPTED, IMAGE_TRUNCATED, FILE_UNREADABLE. */
  async look({ guest, host, length }: DiskPart): Promise<void> {
    for (let at = guest; at < guest + length;) {
      const end = Math.min(at - (at % UNIT) + UNIT, guest + length)
      const place = host + at - guest
      const head = end - at >= HEAD ? this.#head : this.#head.subarray(0, end - at)
      this.#read(head, place)
      if (isZero(head)) await this.#doubt({ guest: at, host: place, length: end - at })
      else {
        this.#units.add((at - (at % UNIT)) / UNIT)
        this.#sums.add(head, at)
      }
      at = end
      this.#lookedTo = end
      if (++this.#looks % LOOKS === 0) await this.#rest()
    }
  }

  /** Takes note of bytes that were unpacked. */
  add(bytes: Uint8Array, offset: number): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const { start, end, zero } of splitZeros(buffer, offset)) {
      if (zero) {
        this.#firstZeros = Math.min(this.#firstZeros, offset + start)
        continue
      }
      this.#units.add(Math.floor((offset + start) / UNIT), Math.ceil((offset + end) / UNIT))
      for (let at = start; at < end; at += UNIT - ((offset + at) % UNIT))
        this.#sums.add(buffer.subarray(at, Math.min(at + HEAD, end)), offset + at)
    }
  }

  /** What was found, once everything was looked at. Fails as `look` does. */
  async end(size: number): Promise<{ map: DiskMap; sums: HeadSums }> {
    await this.#resolve()
    await this.settle()
    this.#check()
    return { map: this.#units.toMap(size), sums: this.#sums }
  }

  /** Waits until nothing is under way: then the file may be closed. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  #check(): void {
    if (this.#failed) throw this.#failed.error
    if (this.#signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
  }

  /** Lets others have their turn, from time to time. */
  async #rest(): Promise<void> {
    if (performance.now() < this.#turnEnds) return
    this.#onSeen(this.#seenTo())
    await setImmediate()
    this.#check()
    this.#turnEnds = performance.now() + TURN_MS
  }

  #seenTo(): number {
    const doubtful = this.#doubtful.length > 0 ? [this.#doubtful] : []
    const unknown = [...doubtful, ...this.#underWay.keys()].map(({ guest }) => guest)
    return Math.min(this.#lookedTo, this.#firstZeros, ...unknown)
  }

  async #doubt(part: DiskPart): Promise<void> {
    const { guest, host, length } = this.#doubtful
    const follows = part.guest === guest + length && part.host === host + length
    if (follows && length + part.length <= BLOCK)
      this.#doubtful = { guest, host, length: length + part.length }
    else {
      await this.#resolve()
      this.#doubtful = part
    }
  }

  /** Has the doubtful units read, once there is room for one more read. */
  async #resolve(): Promise<void> {
    const part = this.#doubtful
    this.#doubtful = { guest: 0, host: 0, length: 0 }
    if (part.length === 0) return
    while (this.#underWay.size >= READS) await Promise.race(this.#underWay.values())
    this.#check()
    const done = this.#readWhole(part)
      .catch((error: unknown) => void (this.#failed ??= { error }))
      .finally(() => this.#underWay.delete(part))
    this.#underWay.set(part, done)
  }

  async #readWhole({ guest, host, length }: DiskPart): Promise<void> {
    const block = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK)
    const bytes = block.subarray(0, length)
    try {
      for (let done = 0; done < length;) {
        const left = length - done
        const { bytesRead } = await readInto(this.#file.descriptor, bytes, done, left, host + done)
        if (bytesRead === 0) throw this.#truncated(host + length)
        done += bytesRead
      }
    } catch (error) {
      throw asFileFailure(error, this.#file.name)
    }
    this.add(bytes, guest)
    this.#spare.push(block)
  }

  #read(target: Buffer, place: number): void {
    try {
      for (let done = 0; done < target.length;) {
        const left = target.length - done
        const count = readSync(this.#file.descriptor, target, done, left, place + done)
        if (count === 0) throw this.#truncated(place + target.length)
        done += count
      }
    } catch (error) {
      throw asFileFailure(error, this.#file.name)
    }
  }

  #truncated(end: number): Failure {
    return new Failure('IMAGE_TRUNCATED', `${this.#file.name} ends before byte ${end}`)
  }
}
