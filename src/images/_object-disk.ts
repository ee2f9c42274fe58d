import type { DigestRing } from '../bytes/digest-threads.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from '../formats/disk-map.ts'
import type { DiskTarget } from '../formats/import-image.ts'
import { splitZeros } from '../formats/zero-units.ts'
import type { ObjectWriter } from '../stores/store.ts'
import { ObjectStream } from './_object-stream.ts'

/**
 * A guest's disk that is written, in whatever order it comes, into an object of a store that takes it so. It is
 * digested on the way for as long as it comes in order.
 */
export class ObjectDisk implements DiskTarget {
  readonly #writer: Required<ObjectWriter>
  readonly #demandRoom: (size: number) => void
  readonly #units = new DiskMapBuilder()
  readonly #digested: ObjectStream
  #isInOrder = true
  /** Behind the last byte that was written. */
  #end = 0

  constructor(
    writer: Required<ObjectWriter>,
    ring: DigestRing,
    demandRoom: (size: number) => void,
  ) {
    this.#writer = writer
    this.#demandRoom = demandRoom
    this.#digested = new ObjectStream({ ring })
  }

  /** The digests of the disk; undefined when it did not come in order. After `finish`. */
  async digests(): Promise<string[] | undefined> {
    return this.#isInOrder ? (await this.#digested.end()).digests : undefined
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#digest(offset, bytes)
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const { start, end, zero } of splitZeros(buffer, offset))
      if (zero) await this.#putZeros(offset + start, offset + end)
      else {
        this.#demandRoom(offset + start) // what is behind the end of the disk is less than a unit
        this.#units.add(Math.floor((offset + start) / UNIT), Math.ceil((offset + end) / UNIT))
        await this.#writer.write(offset + start, buffer.subarray(start, end))
        this.#end = Math.max(this.#end, offset + end)
      }
  }

  async finish(size: number): Promise<{ map: DiskMap }> {
    this.#demandRoom(size)
    const behind = this.#digested.size - size
    if (this.#isInOrder && behind > 0) this.#isInOrder = this.#digested.drop(behind)
    if (this.#isInOrder) await this.#digested.zeros(size - this.#digested.size)
    await this.#writer.finish(size)
    return { map: this.#units.toMap(size) }
  }

  async discard(): Promise<void> {
    await this.#writer.discard()
  }

  /** What a gap held is zeros unless it comes later; then all that was digested is of no use. */
  async #digest(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset < this.#digested.size) this.#isInOrder = false
    if (!this.#isInOrder) return
    await this.#digested.zeros(offset - this.#digested.size)
    await this.#digested.write(bytes)
  }

  /** Where nothing was written there are zeros already. A unit that is not all zeros now stays one with data. */
  async #putZeros(from: number, to: number): Promise<void> {
    const end = Math.min(to, this.#end)
    if (from >= end) return
    await this.#writer.zeros(from, end - from)
    for (let unit = Math.ceil(from / UNIT); (unit + 1) * UNIT <= end; unit++)
      this.#units.remove(unit)
  }
}
