/**
 * Writes a guest's disk to a raw file: whole or not at all, in any order, with holes where there are
 * zeros, and with the map of the disk as it goes. What was never written reads as zeros.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asFileFailure } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { writeAll } from '../bytes/sinks.ts'
import { syncDirectory } from '../bytes/whole-file.ts'
import { ContentDigest } from './content-digest.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import { isZero, splitZeros } from './zero-units.ts'

const ZEROS = Buffer.alloc(UNIT)

export interface WrittenDisk {
  readonly map: DiskMap
  /** See `content-digest.ts`; when it was asked for. */
  readonly contentDigest: string | undefined
}

export interface SparseOptions {
  /** Computes the content's digest on the way. */
  readonly digest?: boolean
  /** Whether it is on the medium when it is finished. Default yes; a working file needs no such care. */
  readonly sync?: boolean
}

/**
 * Begins a disk that will stand at `path` once it is finished; until then there is only a working file
 * beside it. Fails with FILE_NOT_FOUND (no such directory), FILE_UNREADABLE, NO_SPACE.
 */
export async function openSparseWriter(
  path: string,
  options: SparseOptions = {},
): Promise<SparseWriter> {
  try {
    await removeLeftovers(path)
    const working = workingPath(path, 'disk')
    return new SparseWriter(path, working, await open(working, 'wx+', 0o644), options)
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/** A disk that is being written. Disposing of one that was not finished leaves nothing. */
export class SparseWriter implements AsyncDisposable {
  readonly path: string
  readonly #working: string
  readonly #file: FileHandle
  readonly #sync: boolean
  readonly #units = new DiskMapBuilder()
  /** Units of which a part was made zero again. */
  readonly #doubtful = new DiskMapBuilder()
  readonly #digest: ContentDigest | undefined
  /** Behind the last byte that is not zero. */
  #end = 0
  /** A part of a unit that waits for the rest: where it stands in `#partBytes`, and in the unit. */
  #part: { unit: number; from: number; to: number } | undefined
  readonly #partBytes = Buffer.allocUnsafeSlow(UNIT)
  #open = true

  constructor(path: string, working: string, file: FileHandle, { digest, sync }: SparseOptions) {
    this.path = path
    this.#working = working
    this.#file = file
    this.#sync = sync ?? true
    this.#digest = digest ? new ContentDigest() : undefined
  }

  /**
   * Writes a part of the disk; a later write to the same place wins. One at a time. `bytes` are the
   * writer's until it is done. Fails with NO_SPACE, FILE_UNREADABLE.
   */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const end = offset + buffer.length
    const wholeFrom = Math.ceil(offset / UNIT) * UNIT
    const wholeTo = Math.floor(end / UNIT) * UNIT
    try {
      if (wholeFrom >= wholeTo) {
        const border = Math.min(wholeFrom, end)
        await this.#addPart(offset, buffer.subarray(0, border - offset))
        await this.#addPart(border, buffer.subarray(border - offset))
      } else {
        await this.#addPart(offset, buffer.subarray(0, wholeFrom - offset))
        await this.#putRuns(wholeFrom, buffer.subarray(wholeFrom - offset, wholeTo - offset))
        await this.#addPart(wholeTo, buffer.subarray(wholeTo - offset))
      }
    } catch (error) {
      throw asFileFailure(error, this.path)
    }
  }

  /** Makes a part of the disk zeros; free where nothing was written. Fails as `write` does. */
  async zeros(offset: number, length: number): Promise<void> {
    try {
      await this.#flush()
      await this.#putZeros(offset, offset + length)
    } catch (error) {
      throw asFileFailure(error, this.path)
    }
  }

  /**
   * Gives the disk its size and puts it in its place, on the medium: whoever sees the file sees all
   * of it, also after the power failed. What was written behind `size` is dropped.
   */
  async finish(size: number): Promise<WrittenDisk> {
    try {
      await this.#flush()
      await this.#file.truncate(size)
      const map = await this.#settleMap(size)
      const read = async (unit: number) => await this.#read(unit, size)
      const contentDigest = await this.#digest?.end(map, read)
      if (this.#sync) await this.#file.sync()
      await this.#close()
      await rename(this.#working, this.path)
      if (this.#sync) await syncDirectory(dirname(this.path))
      return { map, contentDigest }
    } catch (error) {
      await this.discard()
      throw asFileFailure(error, this.path)
    }
  }

  /** Gives up, and leaves nothing. */
  async discard(): Promise<void> {
    if (!this.#open) return
    await this.#close()
    await rm(this.#working, { force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.discard()
  }

  async #close(): Promise<void> {
    this.#open = false
    await this.#file.close()
  }

  /** Collects what is less than a unit, so that a unit that comes in parts is seen as a whole. */
  async #addPart(offset: number, bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return
    const unit = Math.floor(offset / UNIT)
    const inside = offset % UNIT
    if (this.#part?.unit !== unit || this.#part.to !== inside) {
      await this.#flush()
      this.#part = { unit, from: inside, to: inside }
    }
    this.#partBytes.set(bytes, inside)
    this.#part.to += bytes.length
    if (this.#part.to === UNIT) await this.#flush()
  }

  /** Writes the unit, or the part of one, that has been collected. */
  async #flush(): Promise<void> {
    if (this.#part === undefined) return
    const { unit, from, to } = this.#part
    this.#part = undefined
    await this.#putRuns(unit * UNIT + from, this.#partBytes.subarray(from, to))
  }

  async #putRuns(offset: number, bytes: Buffer): Promise<void> {
    if (this.#part !== undefined) await this.#flush()
    for (const { start, end, zero } of splitZeros(bytes, offset))
      if (zero) await this.#putZeros(offset + start, offset + end)
      else await this.#putData(offset + start, bytes.subarray(start, end))
  }

  async #putZeros(from: number, to: number): Promise<void> {
    const end = Math.min(to, this.#end)
    for (let at = from; at < end;) {
      const unit = Math.floor(at / UNIT)
      const next = Math.min((unit + 1) * UNIT, end)
      if (this.#units.has(unit)) {
        await writeAll(this.#file, ZEROS.subarray(0, next - at), at)
        this.#digest?.spoil(unit)
        if (next - at === UNIT) this.#units.remove(unit)
        else this.#doubtful.add(unit)
      }
      at = next
    }
  }

  /** Writes bytes of which each unit holds something. */
  async #putData(offset: number, bytes: Buffer): Promise<void> {
    const end = offset + bytes.length
    const first = Math.floor(offset / UNIT)
    const last = Math.ceil(end / UNIT)
    if (this.#digest)
      for (let unit = first; unit < last; unit++) {
        const from = unit * UNIT
        const isWhole = from >= offset && from + UNIT <= end
        if (isWhole) this.#digest.add(unit, bytes.subarray(from - offset, from + UNIT - offset))
        else this.#digest.spoil(unit)
      }
    this.#units.add(first, last)
    this.#end = Math.max(this.#end, end)
    await writeAll(this.#file, bytes, offset)
  }

  /** The map of what stands there; what may have become zero again is looked at. */
  async #settleMap(size: number): Promise<DiskMap> {
    const doubtful = this.#doubtful.toMap(size)
    for (const { offset, length } of doubtful.extents())
      for (let at = offset; at < offset + length; at += UNIT) {
        const unit = at / UNIT
        if (isZero(await this.#read(unit, size))) this.#units.remove(unit)
      }
    if (size < this.#end) await this.#cutLastUnit(size)
    return this.#units.toMap(size)
  }

  /** The unit in which a disk ends that is shorter than what was written. */
  async #cutLastUnit(size: number): Promise<void> {
    const unit = Math.floor(size / UNIT)
    this.#digest?.spoil(unit)
    if (isZero(await this.#read(unit, size))) this.#units.remove(unit)
  }

  async #read(unit: number, size: number): Promise<Buffer> {
    const offset = unit * UNIT
    const bytes = Buffer.alloc(Math.min(UNIT, size - offset))
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, offset + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes
  }
}
