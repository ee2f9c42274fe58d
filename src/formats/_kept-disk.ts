import { KiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { checkRange, type Source } from '../bytes/source.ts'
import { HEAD } from './_detect.ts'

/** What is kept of the end: the backup of a GPT with the entries that usually stand before it. */
const TAIL = 64 * KiB
const MAX_ENTRIES = 1024 * KiB
const MAX_CHAIN = 64
const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85])

/** Asked for bytes of a stream that have passed and were not kept. */
export class NotKept extends Error {}

interface Wanted {
  readonly at: number
  readonly bytes: Buffer
  missing: number
  readonly whenThere?: (bytes: Buffer) => void
}

/**
 * What can be known of a disk that passes by, in bounded memory: its head, its end, and the places
 * that its partition table points to. Written in any order; parts that are never written are zeros.
 */
export class KeptDisk {
  readonly #head = Buffer.alloc(HEAD)
  /** Twice what is kept, so that it moves only now and then. */
  readonly #tail = Buffer.alloc(2 * TAIL)
  #tailStart = 0
  #end = 0
  readonly #wanted: Wanted[] = []
  /** What is wanted from here on can still come; what is wanted before is lost. */
  #passed = HEAD
  readonly #links = new Set<number>()
  #planned = false

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const end = offset + bytes.length
    if (end > HEAD && !this.#planned) {
      if (offset < HEAD) copy(this.#head, 0, bytes, offset)
      this.#plan()
    }
    if (offset < HEAD) copy(this.#head, 0, bytes, offset)
    this.#passed = Math.max(this.#passed, this.#end)
    if (end > this.#end) this.#moveTail(end)
    copy(this.#tail, this.#tailStart, bytes, offset)
    if (this.#wanted.length > 0) this.#fill(offset, bytes)
  }

  /** The disk, `size` bytes of it. Reading what was not kept throws NotKept. */
  toSource(name: string, size: number): Source {
    const source: Source = {
      name,
      size,
      read: async (offset, length) => {
        checkRange(source, offset, length)
        const bytes = Buffer.alloc(length)
        for (let done = 0; done < length;) done += this.#read(bytes.subarray(done), offset + done)
        return bytes
      },
      [Symbol.asyncDispose]: async () => {},
    }
    return source
  }

  /** Fills as much of `target` as one of the parts that are kept holds; how much that is. */
  #read(target: Uint8Array, offset: number): number {
    const tailAt = Math.max(0, this.#end - TAIL)
    const parts: [number, Uint8Array][] = [
      [0, this.#head],
      [tailAt, this.#tail.subarray(tailAt - this.#tailStart)],
      ...this.#wanted.map(({ at, bytes }) => [at, bytes] as [number, Uint8Array]),
    ]
    for (const [start, bytes] of parts) {
      if (offset < start || offset >= start + bytes.length) continue
      const part = bytes.subarray(offset - start, offset - start + target.length)
      target.set(part)
      return part.length
    }
    if (offset < this.#end) throw new NotKept(`byte ${offset} has passed and was not kept`)
    return target.length
  }

  #moveTail(end: number): void {
    this.#end = end
    if (end <= this.#tailStart + 2 * TAIL) return
    const shift = end - TAIL - this.#tailStart
    const kept = Math.max(0, 2 * TAIL - shift)
    if (kept > 0) this.#tail.copyWithin(0, shift)
    this.#tail.fill(0, kept)
    this.#tailStart += shift
  }

  #fill(offset: number, bytes: Uint8Array): void {
    for (const wanted of this.#wanted) {
      if (wanted.missing === 0) continue
      wanted.missing -= copy(wanted.bytes, wanted.at, bytes, offset)
      if (wanted.missing > 0) continue
      this.#passed = Math.max(this.#passed, wanted.at + wanted.bytes.length)
      wanted.whenThere?.(wanted.bytes)
    }
  }

  #want(at: number, length: number, whenThere?: (bytes: Buffer) => void): void {
    if (!Number.isSafeInteger(at) || at < this.#passed || length > MAX_ENTRIES) return
    const bytes = Buffer.alloc(length)
    this.#wanted.push({ at, bytes, missing: length, ...(whenThere && { whenThere }) })
  }

  /** The head is there: what its partition table points to is worth keeping. */
  #plan(): void {
    this.#planned = true
    const head = new Fields(this.#head, { name: 'head' })
    for (const sector of [SECTOR, 4 * KiB]) {
      if (!head.holds(sector, 'EFI PART')) continue
      const header = head.part('GPT', sector, 92)
      this.#want(Number(header.u64(32)) * sector, sector)
      const entries = header.u32(80) * header.u32(84)
      if (Number(header.u64(72)) * sector + entries > HEAD)
        this.#want(Number(header.u64(72)) * sector, entries)
    }
    if (!head.holds(510, '\x55\xaa')) return
    for (const entry of [446, 462, 478, 494])
      if (EXTENDED.has(head.u8(entry + 4))) this.#follow(head.u32(entry + 8), 0)
  }

  /** A record of the chain of logical partitions, and from there the next. */
  #follow(extended: number, next: number): void {
    const at = (extended + next) * SECTOR
    if (this.#links.size >= MAX_CHAIN || this.#links.has(at)) return
    this.#links.add(at)
    const readRecord = (record: Buffer) => {
      const isLink = record.readUInt16LE(510) === 0xaa55 && EXTENDED.has(record.readUInt8(466))
      if (isLink) this.#follow(extended, record.readUInt32LE(470))
    }
    if (at + SECTOR <= HEAD) readRecord(this.#head.subarray(at, at + SECTOR))
    else this.#want(at, SECTOR, readRecord)
  }
}

/** Copies what `bytes`, which stand at `offset`, have in common with `target`, at `at`; how many. */
function copy(target: Uint8Array, at: number, bytes: Uint8Array, offset: number): number {
  const from = Math.max(at, offset)
  const to = Math.min(at + target.length, offset + bytes.length)
  if (from >= to) return 0
  target.set(bytes.subarray(from - offset, to - offset), from - at)
  return to - from
}
