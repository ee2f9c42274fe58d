/**
 * An object elsewhere, as a source. A read is one request for its range, until two reads follow each other:
 * then everything from there on is asked for at once, and the reads that follow take it as it comes. What is
 * not read on for some time is let go.
 */
import type { Readable } from 'node:stream'
import { checkRange, type DirectSource, readAnew, type Source } from '../../bytes/source.ts'

/** The bytes from `offset` to `end`. It tries again by itself when the other side is away for a moment. */
export type FetchRange = (offset: number, end: number, signal: AbortSignal) => Promise<Readable>

/** Sequences that are read at a time; more than these ask range by range. */
const MAX_RUNS = 4
/** Ends of reads that are remembered, to see whether another begins there. */
const MAX_ENDS = 16
/** A sequence that nobody reads on is let go after this. */
const IDLE_MS = 10_000
/** How often a read that broke off in the middle is taken up again. */
const MAX_RESUMES = 3

export function streamedSource(name: string, size: number, fetch: FetchRange): Source {
  return new StreamedSource(name, size, fetch)
}

class StreamedSource implements DirectSource {
  readonly name: string
  readonly size: number
  readonly #fetch: FetchRange
  readonly #closed = new AbortController()
  readonly #runs = new Set<Run>()
  readonly #ends: number[] = []

  constructor(name: string, size: number, fetch: FetchRange) {
    this.name = name
    this.size = size
    this.#fetch = fetch
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await readAnew(this, offset, length)
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    checkRange(this, offset, target.length)
    if (target.length === 0) return
    const run = this.#runAt(offset)
    const done = run === undefined ? 0 : await run.fill(target)
    if (run?.failed) this.#drop(run)
    if (done < target.length) await this.#readRange(target.subarray(done), offset + done)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    for (const run of this.#runs) this.#drop(run)
  }

  /** The sequence that comes by here, or a new one if the last read ended here. */
  #runAt(offset: number): Run | undefined {
    for (const run of this.#runs) if (run.next === offset) return run
    const index = this.#ends.indexOf(offset)
    if (index < 0 || this.#runs.size >= MAX_RUNS) return undefined
    this.#ends.splice(index, 1)
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, this.#closed.signal])
    const run = new Run(offset, this.#fetch(offset, this.size, signal), stop, () => this.#drop(run))
    this.#runs.add(run)
    return run
  }

  #drop(run: Run): void {
    this.#runs.delete(run)
    run.close()
  }

  async #readRange(target: Uint8Array, offset: number): Promise<void> {
    const end = offset + target.length
    this.#ends.push(end)
    if (this.#ends.length > MAX_ENDS) this.#ends.shift()
    let done = 0
    for (let resumes = 0; done < target.length; resumes++) {
      const body = await this.#fetch(offset + done, end, this.#closed.signal)
      const filled = await fillFrom(body[Symbol.asyncIterator](), target.subarray(done))
      done += filled.length
      body.destroy()
      if (done < target.length && resumes >= MAX_RESUMES) throw filled.error
    }
  }
}

/** A stream of everything from some place on, and the reads that wait for it, one after the other. */
class Run {
  /** Where the next read must begin to belong to it. */
  next: number
  failed = false
  readonly #body: Promise<Readable | undefined>
  readonly #stop: AbortController
  readonly #idle: NodeJS.Timeout
  #chunks: AsyncIterator<Buffer> | undefined
  /** What came with the last chunk and belongs to the next read. */
  #rest: Uint8Array = new Uint8Array(0)
  #last: Promise<unknown> = Promise.resolve()

  constructor(from: number, body: Promise<Readable>, stop: AbortController, onIdle: () => void) {
    this.next = from
    this.#stop = stop
    this.#body = body.catch(() => undefined) // the read asks for its range by itself, and meets the failure
    this.#idle = setTimeout(onIdle, IDLE_MS).unref()
  }

  /** Fills `target` with the bytes at `next`; how many, which is fewer when the stream broke off. */
  fill(target: Uint8Array): Promise<number> {
    this.next += target.length
    const filling = this.#last.then(() => this.#fill(target))
    this.#last = filling
    return filling
  }

  close(): void {
    this.failed = true
    this.next = -1
    clearTimeout(this.#idle)
    this.#stop.abort()
    void this.#body.then((body) => body?.destroy())
  }

  async #fill(target: Uint8Array): Promise<number> {
    if (this.failed) return 0
    this.#idle.refresh()
    const body = await this.#body
    this.#chunks ??= body?.[Symbol.asyncIterator]()
    const ready = this.#rest.subarray(0, target.length)
    target.set(ready)
    this.#rest = this.#rest.subarray(ready.length)
    if (ready.length === target.length) return target.length
    const more = target.subarray(ready.length)
    const { length, rest } = this.#chunks ? await fillFrom(this.#chunks, more) : { length: 0 }
    this.#rest = rest ?? this.#rest
    this.failed ||= length < more.length
    return ready.length + length
  }
}

/** Fills `target` with chunks as they come; `error` says why it is not full. */
async function fillFrom(
  chunks: AsyncIterator<Buffer>,
  target: Uint8Array,
): Promise<{ length: number; rest?: Uint8Array; error?: unknown }> {
  let length = 0
  try {
    for (;;) {
      const { done, value } = await chunks.next()
      if (done) break
      const taken = value.subarray(0, target.length - length)
      target.set(taken, length)
      length += taken.length
      if (length === target.length) return { length, rest: value.subarray(taken.length) }
    }
  } catch (error) {
    return { length, error }
  }
  const error = Object.assign(new Error('the content ended too early'), { code: 'ECONNRESET' })
  return { length, error }
}
