/**
 * Carries pieces to where they are wanted: a socket, a file, a digest. Bytes go through a small ring
 * of large buffers that are used again and again: while one is being written the next is being read.
 * Short pieces (tables, headers, single units) are put together, so the sink sees few, large writes.
 */
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import type { Origin, Piece } from './piece.ts'
import { checkRange, readInto, type Source } from './source.ts'

/** Where content goes, first byte to last. Only what it cannot do faster may be left out. */
export interface Sink {
  /**
   * Takes the next bytes. Called again before the last call has resolved: bytes go in the order of the
   * calls. When it resolves (or returns nothing), the memory is used for other bytes.
   */
  write(bytes: Uint8Array): Promise<void> | void
  /** Takes a long run of zeros. Left out means the plain way: they are written. */
  zeros?(length: number): Promise<void> | void
  /**
   * Takes the next bytes, which stand in an open file, by means of the kernel: as many of them as it takes
   * without waiting; how many that was. Called when all writes before it have resolved, and followed by others
   * only when it has: what stands behind them is written, so that the sink can wait there. Left out means
   * the plain way: all are read and written.
   */
  copy?: ((file: OpenFile, length: number) => Promise<number>) | undefined
}

/** A place in an open file; see `Source.file`. */
export interface OpenFile {
  readonly descriptor: number
  readonly offset: number
}

export interface SendOptions {
  /** Ends the sending with INTERRUPTED once what is under way is done. */
  readonly signal?: AbortSignal | undefined
  /** Bytes of a buffer; four of them are used. Default 256 KiB. */
  readonly chunk?: number
}

const BUFFERS = 4
/** A shorter run of zeros is written with what stands around it. */
const LONG_ZEROS = 32 * KiB
/** Most that a sink is asked to copy at once, so that an interruption is heard. */
const LONGEST_COPY = 16 * MiB
/** What is written behind each copy: little, since that is the slower way. */
const BESIDE_COPY = 64 * KiB
const ZEROS = Buffer.alloc(MiB)

/**
 * Sends the content that `pieces` stand for, and tells how many bytes it was. On failure it ends only
 * when nothing is under way any more, so that sources and sink can be closed: a sink that may hang
 * (a socket) has to fail its writes when it is closed or interrupted.
 *
 * Fails with INTERRUPTED, with what sources fail with (IMAGE_TRUNCATED), and with what the sink throws.
 */
export async function sendPieces(
  pieces: Iterable<Piece>,
  origins: Readonly<Partial<Record<Origin, Source>>>,
  sink: Sink,
  options: SendOptions = {},
): Promise<number> {
  const sending = new Sending(sink, options)
  try {
    for (const piece of pieces)
      if (piece.kind === 'bytes') await sending.addBytes(piece.bytes)
      else if (piece.kind === 'zeros') await sending.addZeros(piece.length)
      else await sending.addCopy(sourceOf(origins, piece.of), piece.offset, piece.length)
    return await sending.end()
  } finally {
    await sending.settle()
  }
}

function sourceOf(origins: Readonly<Partial<Record<Origin, Source>>>, of: Origin): Source {
  const source = origins[of]
  if (source === undefined) throw new TypeError(`there is no source for pieces of the ${of}`)
  return source
}

/** Content on its way to one sink. */
class Sending {
  readonly #sink: Sink
  readonly #chunk: number
  readonly #signal: AbortSignal | undefined
  /** The buffer that is being filled, how far it is, and what still has to arrive in it. */
  #buffer: Buffer | undefined
  #filled = 0
  #reads: Promise<void>[] = []
  /** What the sink has not done yet, oldest first; the buffers come back. */
  #writes: { done: Promise<void>; buffer: Buffer | undefined }[] = []
  #spare: Buffer[] = []
  #sent = 0

  constructor(sink: Sink, { chunk = 256 * KiB, signal }: SendOptions) {
    this.#sink = sink
    this.#chunk = chunk
    this.#signal = signal
  }

  async addBytes(bytes: Uint8Array): Promise<void> {
    // Bytes of a piece are nobody's to change, so many of them are written from where they stand.
    if (bytes.length > this.#chunk / 2) await this.#send((sink) => sink.write(bytes), bytes.length)
    else
      for (let done = 0; done < bytes.length;) {
        const target = await this.#reserve(bytes.length - done)
        target.set(bytes.subarray(done, done + target.length))
        done += target.length
      }
  }

  async addZeros(length: number): Promise<void> {
    const { zeros } = this.#sink
    if (zeros !== undefined && length >= LONG_ZEROS)
      await this.#send((sink) => sink.zeros?.(length), length)
    else if (length > this.#chunk / 2)
      for (let done = 0; done < length;) {
        const part = ZEROS.subarray(0, length - done)
        await this.#send((sink) => sink.write(part), part.length)
        done += part.length
      }
    else
      for (let done = 0; done < length;) done += (await this.#reserve(length - done)).fill(0).length
  }

  async addCopy(source: Source, offset: number, length: number): Promise<void> {
    if (this.#sink.copy === undefined || source.file === undefined || length < this.#chunk)
      return await this.#read(source, offset, length)
    checkRange(source, offset, length) // which of the file's bytes are the source's
    for (let done = 0; done < length;) {
      await this.#drain()
      const place = { ...source.file, offset: source.file.offset + offset + done }
      done += await this.#copy(place, Math.min(length - done, LONGEST_COPY))
      const written = Math.min(length - done, BESIDE_COPY)
      await this.#read(source, offset + done, written)
      done += written
    }
  }

  /** Waits for everything to be done; how many bytes that was. */
  async end(): Promise<number> {
    await this.#drain()
    return this.#sent
  }

  /** Waits until nothing is under way, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#reads, ...this.#writes.map(({ done }) => done)])
  }

  async #read(source: Source, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const target = await this.#reserve(length - done)
      this.#reads.push(heard(readInto(source, target, offset + done)))
      done += target.length
    }
  }

  /** How many of the bytes the sink has taken from the file. */
  async #copy(from: OpenFile, length: number): Promise<number> {
    this.#demandGoingOn()
    const copied = (await this.#sink.copy?.(from, length)) ?? 0
    this.#sent += copied
    return copied
  }

  /** The next part of the buffer, at most `length` bytes of it; a full one is sent first. */
  async #reserve(length: number): Promise<Buffer> {
    if (this.#filled === this.#chunk) await this.#flush()
    this.#buffer ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#chunk)
    const target = this.#buffer.subarray(this.#filled, this.#filled + length)
    this.#filled += target.length
    return target
  }

  /** Sends what the buffer holds. */
  async #flush(): Promise<void> {
    const buffer = this.#buffer
    if (buffer === undefined) return
    const reads = this.#reads
    if (reads.length > 0) await Promise.all(reads)
    const bytes = buffer.subarray(0, this.#filled)
    this.#buffer = undefined
    this.#filled = 0
    this.#reads = []
    await this.#hand((sink) => sink.write(bytes), bytes.length, buffer)
  }

  /** Hands something to the sink that does not stand in the buffer, behind what does. */
  async #send(to: (sink: Sink) => Promise<void> | void, length: number): Promise<void> {
    await this.#flush()
    await this.#hand(to, length)
  }

  async #hand(
    to: (sink: Sink) => Promise<void> | void,
    length: number,
    buffer?: Buffer,
  ): Promise<void> {
    this.#demandGoingOn()
    while (this.#writes.length >= BUFFERS - 1) await this.#finishOldest()
    const done = to(this.#sink)
    this.#sent += length
    if (done !== undefined) this.#writes.push({ done: heard(done), buffer })
    else if (buffer !== undefined) this.#spare.push(buffer)
  }

  #demandGoingOn(): void {
    if (!this.#signal?.aborted) return
    throw new Failure('INTERRUPTED', `interrupted after ${this.#sent} bytes`)
  }

  async #drain(): Promise<void> {
    await this.#flush()
    while (this.#writes.length > 0) await this.#finishOldest()
  }

  async #finishOldest(): Promise<void> {
    const [oldest] = this.#writes
    await oldest?.done
    this.#writes.shift()
    if (oldest?.buffer !== undefined) this.#spare.push(oldest.buffer)
  }
}

/** The same promise; that nobody waits for it yet is not an error. */
function heard(promise: Promise<void>): Promise<void> {
  promise.catch(() => {})
  return promise
}
