/**
 * Writes a view to a file as fast as the kernel takes it: the parts of the disk are copied from file to
 * file, the bytes that are computed are written here meanwhile, and zeros become holes.
 */
import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import { lengthOf, type Piece } from '../bytes/piece.ts'
import { type NamedFile, PartCopier } from '../bytes/part-copier.ts'
import { sendPieces } from '../bytes/send-pieces.ts'
import { fileSink, writeAll } from '../bytes/sinks.ts'
import type { Source } from '../bytes/source.ts'
import type { Disk } from './open-disk.ts'
import type { View } from './view.ts'

/** What a view is written from. */
export interface ViewOrigins {
  readonly disk: Source | Disk
  /** The file that the disk's runs stand in; the disk itself, where it is plain. */
  readonly file: Source
  readonly store?: Source | undefined
}

/** Parts are gathered until they are so much, or so many; then room is reserved, and they are copied. */
const BATCH_BYTES = 32 * MiB
const BATCH_PARTS = 4096
/** Computed bytes that are written at once; and the least that room is reserved for. */
const TABLE_BYTES = 1 * MiB
/** So few bytes are written at once: handing them to another thread takes longer. */
const SMALL = 16 * KiB
/** Shorter runs of zeros are not worth a hole. */
const HOLE = 4 * KiB
/** Room is reserved across gaps that are no larger: a table fills them, or they are not worth a hole. */
const GAP = 4 * KiB

/** The file that is written, and what copies into it. */
export interface ViewTarget {
  readonly file: FileHandle
  readonly parts: Parts
}

/**
 * Whether the disk is copied from file to file, by `writeCopied`; else it comes through this process
 * (`writeSent`), because it is not in a file, or compressed.
 */
export function isCopied({ store, file }: ViewOrigins): boolean {
  return store === undefined && file.file !== undefined
}

/**
 * Writes all of a view to a new file, first byte to last. Tells progress as `bytes` under the name
 * `write`. Fails with INTERRUPTED, NO_SPACE, IMAGE_TRUNCATED; system errors are about the file.
 */
export async function writeSent(
  view: View,
  { disk, store }: ViewOrigins,
  file: FileHandle,
  { signal, progress }: Pick<Context, 'signal' | 'progress'>,
): Promise<void> {
  const pieces = told(view.pieces(0, view.length), view.length, progress)
  const sink = fileSink(file)
  await sendPieces(pieces, { disk, ...(store && { store }) }, sink, { signal })
  await sink.finish()
}

/** The parts for a new file. Whoever asked for them waits until they have settled. */
export function makeParts({ file }: ViewOrigins, to: NamedFile, tools: CopyTools): Parts {
  return new Parts({ descriptor: file.file?.descriptor ?? -1, name: file.name }, to, tools)
}

/**
 * As `writeSent`, by copying. Parts of the disk below `done` are there already. Fails also with
 * FILE_UNREADABLE.
 */
export async function writeCopied(
  view: View,
  origins: ViewOrigins,
  { file, parts }: ViewTarget,
  done: number,
  progress: Context['progress'],
): Promise<void> {
  await file.truncate(view.length)
  const copied = copyAll(view, origins, { file, parts }, done, progress)
  const tables = writeTables(view, file) // little, and computed while the kernel copies
  for (const ended of await Promise.allSettled([copied, tables]))
    if (ended.status === 'rejected') throw ended.reason
  progress({ kind: 'bytes', name: 'write', done: view.length, total: view.length })
}

async function copyAll(
  view: View,
  origins: ViewOrigins,
  { parts }: ViewTarget,
  done: number,
  progress: Context['progress'],
): Promise<void> {
  for (const { source, target, length } of copiesOf(view, origins, done))
    for (let added = 0; added < length;) {
      added += parts.add(source + added, target + added, length - added)
      if (!parts.isFull) continue
      await parts.copy()
      progress({ kind: 'bytes', name: 'write', done: target + added, total: view.length })
    }
  await parts.end()
}

/** What is not copied from the disk: everything that is computed, and zeros too few for a hole. */
async function writeTables(view: View, file: FileHandle): Promise<void> {
  const tables = new Tables(file)
  let at = 0
  for (const piece of view.pieces(0, view.length)) {
    if (piece.kind === 'bytes') await tables.add(piece.bytes, at)
    else if (piece.kind === 'zeros' && piece.length < HOLE)
      await tables.add(Buffer.alloc(piece.length), at)
    at += lengthOf(piece)
  }
  await tables.flush()
}

/** A part that is copied: where it stands in the disk, in the disk's file, and in the view. */
interface Copy {
  readonly offset: number
  readonly source: number
  readonly target: number
  readonly length: number
}

/** All that a view copies of its disk, from byte `done` of that on. Views copy disks from first to last. */
export function* copiesOf(view: View, origins: ViewOrigins, done = 0): Generator<Copy> {
  let at = 0
  for (const piece of view.pieces(0, view.length)) {
    if (piece.kind === 'copy' && piece.offset + piece.length > done) {
      const skipped = Math.max(done - piece.offset, 0)
      yield* placesOf(origins, {
        offset: piece.offset + skipped,
        target: at + skipped,
        length: piece.length - skipped,
      })
    }
    at += lengthOf(piece)
  }
}

/** Where a part of the disk stands in the file; what is zeros there stands nowhere. */
function* placesOf(
  { disk, file }: ViewOrigins,
  { offset, target, length }: Omit<Copy, 'source'>,
): Generator<Copy> {
  const start = file.file?.offset ?? 0
  if (!('runs' in disk)) yield { offset, source: start + offset, target, length }
  else
    for (const run of disk.runs(offset, offset + length))
      if (run.kind === 'packed') throw new TypeError('a compressed disk cannot be copied')
      else if (run.kind === 'data')
        yield {
          offset: run.offset,
          source: start + run.host,
          target: target + run.offset - offset,
          length: run.length,
        }
}

interface Part {
  readonly source: number
  readonly target: number
  readonly length: number
}

type CopyTools = ConstructorParameters<typeof PartCopier>[2]

/** Gathers parts, reserves room for what will be written without a gap, and has them copied. */
export class Parts {
  readonly #from: NamedFile
  readonly #to: NamedFile
  readonly #tools: CopyTools
  #copier: PartCopier
  #parts: Part[] = []
  #bytes = 0

  constructor(from: NamedFile, to: NamedFile, tools: CopyTools) {
    this.#from = from
    this.#to = to
    this.#tools = tools
    this.#copier = new PartCopier(from, to, tools)
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  get isFull(): boolean {
    return this.#bytes >= BATCH_BYTES || this.#parts.length >= BATCH_PARTS
  }

  /** Takes as much of a part as there is room for; how much that is. */
  add(source: number, target: number, length: number): number {
    const count = Math.min(length, BATCH_BYTES - this.#bytes)
    const last = this.#parts.at(-1)
    if (last && last.source + last.length === source && last.target + last.length === target)
      this.#parts[this.#parts.length - 1] = { ...last, length: last.length + count }
    else this.#parts.push({ source, target, length: count })
    this.#bytes += count
    return count
  }

  async copy(): Promise<void> {
    const parts = this.#parts
    this.#parts = []
    this.#bytes = 0
    this.#reserve(parts)
    for (const { source, target, length } of parts) await this.#copier.copy(source, target, length)
  }

  async end(): Promise<void> {
    await this.copy()
    await this.#copier.end()
  }

  /** Waits until nothing is under way, whatever came of it: then the files may be closed. */
  settle(): Promise<void> {
    return this.#copier.settle()
  }

  /** Begins anew, as if there had been no parts. Nothing is under way. */
  forget(): void {
    this.#parts = []
    this.#bytes = 0
    this.#copier = new PartCopier(this.#from, this.#to, this.#tools)
  }

  #reserve(parts: readonly Part[]): void {
    let start = 0
    let end = 0
    const reserve = () => {
      if (end - start < TABLE_BYTES) return
      if (this.#tools.calls?.reserve(this.#to.descriptor, start, end - start) === false)
        throw new Failure('NO_SPACE', `no space left while writing ${this.#to.name}`)
    }
    for (const { target, length } of parts) {
      if (target - end > GAP) {
        reserve()
        start = target
      }
      end = target + length
    }
    reserve()
  }
}

function writeNow(descriptor: number, bytes: Buffer, place: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(descriptor, bytes, done, bytes.length - done, place + done)
}

/** Puts computed bytes together that follow each other, and writes them. */
class Tables {
  readonly #file: FileHandle
  readonly #buffer = Buffer.allocUnsafeSlow(TABLE_BYTES)
  #start = 0
  #filled = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async add(bytes: Uint8Array, place: number): Promise<void> {
    if (this.#start + this.#filled !== place) await this.flush()
    if (this.#filled === 0) this.#start = place
    for (let done = 0; done < bytes.length;) {
      if (this.#filled === TABLE_BYTES) await this.flush()
      const part = bytes.subarray(done, done + TABLE_BYTES - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      done += part.length
    }
  }

  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#filled)
    if (bytes.length <= SMALL) writeNow(this.#file.fd, bytes, this.#start)
    else await writeAll(this.#file, bytes, this.#start)
    this.#start += this.#filled
    this.#filled = 0
  }
}

/** The same pieces; says how far they are. */
function* told(
  pieces: Iterable<Piece>,
  total: number,
  progress: Context['progress'],
): Generator<Piece> {
  let done = 0
  let next = 0
  for (const piece of pieces) {
    yield piece
    done += lengthOf(piece)
    if (done < next) continue
    progress({ kind: 'bytes', name: 'write', done, total })
    next = done + BATCH_BYTES
  }
}
