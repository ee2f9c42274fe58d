/**
 * Writes a view to a file as fast as the kernel takes it: the bytes that are computed are written here,
 * the parts of the disk are copied by the kernel, and zeros become holes.
 */
import type { FileHandle } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import type { FileCalls } from '../bytes/file-calls.ts'
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
/** Shorter runs of zeros are not worth a hole. */
const HOLE = 4 * KiB
/** Room is reserved across gaps that are no larger: a table fills them, or they are not worth a hole. */
const GAP = 4 * KiB

/**
 * Writes all of a view to a new file. Tells progress as `bytes` under the name `write`. Fails with
 * INTERRUPTED, NO_SPACE, IMAGE_TRUNCATED, FILE_UNREADABLE; system errors are about the file.
 */
export async function writeView(
  view: View,
  origins: ViewOrigins,
  to: { readonly file: FileHandle; readonly name: string },
  calls: FileCalls | undefined,
  { signal, progress }: Pick<Context, 'signal' | 'progress'>,
): Promise<void> {
  if (origins.store !== undefined || origins.file.file === undefined) {
    const pieces = told(view.pieces(0, view.length), view.length, progress)
    const sink = fileSink(to.file)
    const { disk, store } = origins
    await sendPieces(pieces, { disk, ...(store && { store }) }, sink, { signal })
    await sink.finish()
    return
  }
  await to.file.truncate(view.length)
  const from = { descriptor: origins.file.file.descriptor, name: origins.file.name }
  const parts = new Parts(from, { descriptor: to.file.fd, name: to.name }, { calls, signal })
  try {
    await writeFromFile(view, origins, { file: to.file, parts }, progress)
  } finally {
    await parts.settle()
  }
}

async function writeFromFile(
  view: View,
  { disk, file }: ViewOrigins,
  to: { readonly file: FileHandle; readonly parts: Parts },
  progress: Context['progress'],
): Promise<void> {
  const { parts } = to
  const tables = new Tables(to.file)
  let at = 0
  for (const piece of view.pieces(0, view.length)) {
    if (piece.kind === 'bytes') await tables.add(piece.bytes, at)
    else if (piece.kind === 'zeros' && piece.length < HOLE)
      await tables.add(Buffer.alloc(piece.length), at)
    else if (piece.kind === 'copy')
      for (const run of placesOf(disk, file, piece.offset, piece.length)) {
        const target = at + run.offset - piece.offset
        for (let done = 0; done < run.length;) {
          done += parts.add(run.host + done, target + done, run.length - done)
          if (!parts.isFull) continue
          await parts.copy()
          progress({ kind: 'bytes', name: 'write', done: target + done, total: view.length })
        }
      }
    at += lengthOf(piece)
  }
  await tables.flush()
  await parts.end()
  progress({ kind: 'bytes', name: 'write', done: view.length, total: view.length })
}

/** Where a part of the disk stands in the file; what is zeros there stands nowhere. */
function* placesOf(
  disk: Source | Disk,
  file: Source,
  offset: number,
  length: number,
): Generator<{ offset: number; length: number; host: number }> {
  const start = file.file?.offset ?? 0
  if (!('runs' in disk)) yield { offset, length, host: start + offset }
  else
    for (const run of disk.runs(offset, offset + length))
      if (run.kind === 'data') yield { ...run, host: start + run.host }
      else if (run.kind === 'packed') throw new TypeError('a compressed disk cannot be copied')
}

interface Part {
  readonly source: number
  readonly target: number
  readonly length: number
}

/** Gathers parts, reserves room for what will be written without a gap, and has them copied. */
class Parts {
  readonly #copier: PartCopier
  readonly #to: NamedFile
  readonly #calls: FileCalls | undefined
  #parts: Part[] = []
  #bytes = 0

  constructor(from: NamedFile, to: NamedFile, tools: ConstructorParameters<typeof PartCopier>[2]) {
    this.#copier = new PartCopier(from, to, tools)
    this.#to = to
    this.#calls = tools.calls
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

  settle(): Promise<void> {
    return this.#copier.settle()
  }

  #reserve(parts: readonly Part[]): void {
    let start = 0
    let end = 0
    const reserve = () => {
      if (end - start < TABLE_BYTES) return
      if (this.#calls?.reserve(this.#to.descriptor, start, end - start) === false)
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
    await writeAll(this.#file, this.#buffer.subarray(0, this.#filled), this.#start)
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
