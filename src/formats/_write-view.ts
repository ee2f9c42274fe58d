/**
 * Writes a view to a file as fast as the kernel takes it: the bytes that are computed are written here,
 * the parts of the disk are copied by threads, and zeros become holes.
 */
import type { FileHandle } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import type { FileCalls } from '../bytes/file-calls.ts'
import { lengthOf, type Piece } from '../bytes/piece.ts'
import { sendPieces } from '../bytes/send-pieces.ts'
import { fileSink, writeAll } from '../bytes/sinks.ts'
import type { Source } from '../bytes/source.ts'
import type { CopyJob } from './_disk-thread.ts'
import type { DiskThreads } from './_disk-threads.ts'
import type { Disk } from './open-disk.ts'
import type { View } from './view.ts'

/** What a view is written from. */
export interface ViewOrigins {
  readonly disk: Source | Disk
  /** The file that the disk's runs stand in; the disk itself, where it is plain. */
  readonly file: Source
  readonly store?: Source | undefined
}

/** A job of copying: this much, or so many parts. */
const JOB_BYTES = 16 * MiB
const JOB_PARTS = 4096
/** Room is reserved for this much at once. */
const TABLE_BYTES = 1 * MiB
/** Shorter runs of zeros are not worth a hole. */
const HOLE = 4 * KiB

/**
 * Writes all of a view to a new file. Tells progress as `bytes` under the name `write`. Fails with
 * INTERRUPTED, NO_SPACE, IMAGE_TRUNCATED, FILE_UNREADABLE; system errors are about the file.
 */
export async function writeView(
  view: View,
  origins: ViewOrigins,
  to: { readonly file: FileHandle; readonly name: string },
  tools: { readonly threads: DiskThreads; readonly calls: FileCalls | undefined },
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
  const parts = new Parts(from, { descriptor: to.file.fd, name: to.name }, tools.calls)
  let done = 0
  await tools.threads.run(jobsOf(view, origins, to.file, parts), signal, (job) => {
    done += job.bytes
    progress({ kind: 'bytes', name: 'write', done, total: view.length })
  })
  progress({ kind: 'bytes', name: 'write', done: view.length, total: view.length })
}

interface SizedCopyJob extends CopyJob {
  /** How far the file is when it is done: its own bytes and those between it and the one before. */
  readonly bytes: number
}

/** The view as jobs; what is no part of the disk is written on the way. */
async function* jobsOf(
  view: View,
  { disk, file }: ViewOrigins,
  target: FileHandle,
  parts: Parts,
): AsyncGenerator<SizedCopyJob> {
  const tables = new Tables(target)
  let at = 0
  for (const piece of view.pieces(0, view.length)) {
    if (piece.kind === 'bytes') await tables.add(piece.bytes, at)
    else if (piece.kind === 'zeros' && piece.length < HOLE)
      await tables.add(Buffer.alloc(piece.length), at)
    else if (piece.kind === 'copy')
      for (const run of placesOf(disk, file, piece.offset, piece.length)) {
        const target = at + run.offset - piece.offset
        for (let done = 0; done < run.length;) {
          const count = parts.add(run.host + done, target + done, run.length - done)
          done += count
          if (parts.isFull) yield parts.take(target + done)
        }
      }
    at += lengthOf(piece)
  }
  await tables.flush()
  if (!parts.isEmpty) yield parts.take(at)
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

/** Collects parts until they are a job. */
class Parts {
  readonly #from: CopyJob['from']
  readonly #to: CopyJob['to']
  readonly #calls: FileCalls | undefined
  #numbers: number[] = []
  #bytes = 0
  #taken = 0
  #run: { start: number; end: number } | undefined

  constructor(from: CopyJob['from'], to: CopyJob['to'], calls: FileCalls | undefined) {
    this.#from = from
    this.#to = to
    this.#calls = calls
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  get isFull(): boolean {
    return this.#bytes >= JOB_BYTES || this.#numbers.length >= JOB_PARTS * 3
  }

  /** Takes as much of a part as there is room for; how much that is. */
  add(host: number, target: number, length: number): number {
    const count = Math.min(length, JOB_BYTES - this.#bytes)
    this.#numbers.push(host, target, count)
    this.#bytes += count
    if (this.#run?.end === target) this.#run.end += count
    else {
      this.#reserve()
      this.#run = { start: target, end: target + count }
    }
    return count
  }

  take(end: number): SizedCopyJob {
    this.#reserve()
    this.#run = undefined
    const parts = Float64Array.from(this.#numbers)
    const bytes = end - this.#taken
    this.#taken = end
    this.#numbers = []
    this.#bytes = 0
    return { kind: 'copy', from: this.#from, to: this.#to, parts, bytes }
  }

  /** Room for what will be written without a gap. */
  #reserve(): void {
    if (this.#run === undefined || this.#run.end - this.#run.start < TABLE_BYTES) return
    const { start, end } = this.#run
    if (this.#calls?.reserve(this.#to.descriptor, start, end - start) === false)
      throw new Failure('NO_SPACE', `no space left while writing ${this.#to.name}`)
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
    next = done + JOB_BYTES
  }
}
