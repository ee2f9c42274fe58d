import { isFailure } from '../base/failure.ts'
import { formatSize, MiB, SECTOR } from '../base/units.ts'
import { endOfAsk, fillAsk, sharedBy, type WaitingAsk } from './_ask.ts'
import { type Parsed, ParserRun } from './_parsing.ts'
import { PassedPayloads, type Stretch } from './_passed-payloads.ts'
import { PendingExtents } from './_pending-extents.ts'
import { type Ask, type DiskParser, type Extent, type Limits } from './parser.ts'
import { parseAgain, writeBack } from './_read-back.ts'
import { Spool, type SpoolOptions } from './_spool.ts'
import { StreamTail } from './_stream-tail.ts'
import { UnpackQueue } from './_unpack-queue.ts'

/** A compressed cluster is never larger: twice the largest cluster of any format. */
const MAX_PAYLOAD = 256 * MiB

/** Where the guest's disk goes. Writes come one at a time, in the order of the file. */
export interface ExtentSink {
  /** Whether this part of the disk is wanted; left out means all of it is. */
  wants?(guest: number, length: number): boolean
  /** `bytes` are the sink's until what it returns is done, or as long as whoever pushes grants. */
  write(guest: number, bytes: Uint8Array): void | Promise<void>
}

export interface StreamOptions {
  readonly limits: Limits
  readonly spool: SpoolOptions
  readonly sink: ExtentSink
  readonly now?: () => Date
  /** Extents that are remembered until their bytes come; above that, everything is put aside. */
  readonly maxPending?: number
}

export interface StreamParsed extends Parsed {
  /** Bytes of the disk that came before anything told where they belong, and were put aside. */
  readonly spooled: number
}

type PackedExtent = Exclude<Extent, { kind: 'data' }>

/**
 * Takes apart a file that comes as a stream, in one pass: every byte goes to the extent it was
 * announced for, to the ask the parser waits on, or is put aside until its meaning is known. It does
 * not matter how the stream is cut into chunks. Memory is bounded whatever comes.
 */
export class StreamParse {
  readonly #parser: DiskParser
  readonly #options: StreamOptions
  readonly #run: ParserRun
  readonly #spool: Spool
  readonly #pending: PendingExtents
  readonly #tail = new StreamTail()
  /** Announced for bytes that have passed, in part at least. */
  #late: Extent[] = []
  #position = 0
  #ended = false
  #started = false
  #ask: WaitingAsk | undefined
  /** The ask that the parser was given last, which may be of content. */
  #answered: Ask | undefined
  #active: Extent | undefined
  #payload: Stretch | undefined
  readonly #payloads = new PassedPayloads()
  readonly #unpacking: UnpackQueue
  /** It ran into a limit: the rest is only counted. */
  #isOver = false
  /** Announced extents, how many of them were accepted, and what all of them come to. */
  #announced = 0
  #accepted = 0
  #unpackedSize = 0
  #spooled = 0

  constructor(parser: DiskParser, options: StreamOptions) {
    this.#parser = parser
    this.#options = options
    this.#spool = new Spool(options.spool)
    this.#pending = new PendingExtents(options.maxPending)
    this.#unpacking = new UnpackQueue({
      write: (guest, bytes) => options.sink.write(guest, bytes),
      damaged: (at, found) => this.#note('CONTENT_DAMAGED', at, found),
    })
    this.#run = new ParserRun(parser, {
      limits: options.limits,
      ...(options.now && { now: options.now }),
      listener: { extent: (extent) => this.#announce(extent) },
    })
  }

  /** Bytes of the stream so far. */
  get position(): number {
    return this.#position
  }

  /** Whether it is clear already that the image will be refused. */
  get refused(): boolean {
    return this.#run.refused
  }

  /** The next bytes of the stream. They may be reused when this is done. */
  async push(chunk: Uint8Array): Promise<void> {
    if (!this.#started) await this.#start()
    this.#tail.push(chunk)
    try {
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + this.#boundary() - this.#position)
        await this.#route(part)
        at += part.length
      }
    } catch (error) {
      // Only the spool's limits end like this.
      if (!isFailure(error, 'IMAGE_UNSAFE')) throw error
      this.#stop('LIMIT_REACHED', this.#position, error.message)
    }
  }

  /** The stream has ended; what was learned of it. */
  async end(): Promise<StreamParsed> {
    if (!this.#started) await this.#start()
    this.#ended = true
    this.#run.fileSize = this.#position
    const waiting = this.#ask?.ask
    if (waiting && waiting.at >= 0) this.#run.truncated(waiting, this.#position)
    else if (waiting) await this.#resume(waiting)
    // A payload is said to go on up to the end of a sector, which the end of the file may cut off.
    while (this.#active) {
      this.#endActive(this.#active)
      await this.#begin()
    }
    await this.#unpacking.settle(0)
    if (this.#accepted < this.#announced && !this.refused) await this.#finishFromSpool()
    if (this.#spooled > 0) this.#run.note('OUT_OF_ORDER', { found: formatSize(this.#spooled) })
    return { ...this.#run.finish(this.#position), spooled: this.#spooled }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.abort()
    await this.#unpacking[Symbol.asyncDispose]()
    await this.#spool[Symbol.asyncDispose]()
  }

  async #start(): Promise<void> {
    this.#started = true
    await this.#resume()
  }

  /** Up to where the next bytes are all treated the same. */
  #boundary(): number {
    if (this.#isOver) return Infinity
    const active = this.#active
    const extent = active ? endOf(active) : this.#pending.next
    const ask = this.#ask && this.#ask.ask.at >= 0 ? endOfAsk(this.#ask.ask) : Infinity
    return Math.min(extent, ask)
  }

  async #route(bytes: Uint8Array): Promise<void> {
    const start = this.#position
    const active = this.#active
    if (this.#isOver) {
      this.#position += bytes.length
      return
    }
    if (active?.kind === 'data') await this.#write(active.guest + start - active.host, bytes)
    else if (active) this.#payload?.bytes.set(bytes, start - active.host)
    else if (!this.#run.ended || this.#accepted < this.#announced)
      await this.#spool.append(start, bytes)
    this.#position += bytes.length
    if (this.#ask) fillAsk(this.#ask, bytes, start)
    if (active && this.#position === endOf(active)) {
      this.#endActive(active)
      if (this.#unpacking.isFull) await this.#unpacking.settle()
    }
    const ask = this.#ask?.ask
    if (ask && ask.at >= 0 && this.#position >= endOfAsk(ask)) await this.#resume(ask)
    else if (this.#pending.next <= this.#position) await this.#begin()
  }

  #endActive(active: Extent): void {
    const payload = this.#payload
    this.#active = undefined
    this.#payload = undefined
    if (active.kind !== 'data') this.#unpack(active, payload)
  }

  /** Lets the parser go on, with what it asked for, as long as what it asks for is there. */
  async #resume(answered?: Ask): Promise<void> {
    let ask = answered
    while (ask === undefined ? !this.#run.ended : this.#isThere(ask)) {
      this.#answered = ask
      const next = this.#run.next(ask && (await this.#answer(ask)), ask)
      this.#ask = undefined
      if (this.#isOver) this.#run.abort()
      else await this.#begin()
      if (next === undefined || this.#isOver) return
      ask = next
    }
    if (ask === undefined) return
    if (this.#ended) return this.#run.truncated(ask, this.#position)
    const buffer = Buffer.alloc(ask.at < 0 ? 0 : ask.length)
    if (ask.at >= 0 && ask.at < this.#position)
      buffer.set(await this.#passed(ask.at, this.#position - ask.at, ask.name))
    this.#ask = { ask, bytes: buffer }
  }

  #isThere({ at, length }: Ask): boolean {
    if (at < 0) return this.#ended && this.#position + at >= 0
    return at + length <= this.#position
  }

  async #answer(ask: Ask): Promise<Uint8Array> {
    if (this.#ask?.ask === ask && ask.at >= 0) return this.#ask.bytes
    const at = ask.at < 0 ? this.#position + ask.at : ask.at
    const last = this.#ended ? this.#tail.read(at, ask.length, this.#position) : undefined
    return last ?? (await this.#passed(at, ask.length, ask.name))
  }

  async #passed(at: number, length: number, name: string): Promise<Uint8Array> {
    const bytes = await this.#spool.read(at, length)
    if (bytes === undefined)
      throw new Error(`the ${this.#parser.name} parser asks for a ${name} that it gave away`)
    return bytes
  }

  #announce(extent: Extent): void {
    if (this.#isOver) return
    this.#announced++
    this.#unpackedSize += Number.isFinite(extent.length) ? extent.length : 0
    if (this.#unpackedSize > this.#options.limits.unpackedSize)
      return this.#stop('SIZE_LIMIT', extent.host, `${formatSize(this.#unpackedSize)} of content`)
    if (extent.kind !== 'data' && extent.hostLength > MAX_PAYLOAD)
      return this.#stop('OUT_OF_RANGE', extent.host, `a payload of ${extent.hostLength} bytes`)
    if (this.#accepted < this.#announced - 1) return // some were too many already
    if (extent.length > 0 && extent.host < this.#position) this.#late.push({ ...extent })
    else if (extent.length > 0 && !this.#pending.add(extent)) return
    this.#accepted++
  }

  /** Begins with the extents whose bytes are here or come next. */
  async #begin(): Promise<void> {
    const late = this.#late
    this.#late = []
    for (const extent of late) await this.#beginAt(extent)
    while (this.#active === undefined && this.#pending.next <= this.#position) {
      const extent = this.#pending.take()
      if (extent) await this.#beginAt(extent)
    }
  }

  async #beginAt(extent: Extent): Promise<void> {
    const passed = Math.min(this.#position, endOf(extent)) - extent.host
    if (extent.kind === 'data') {
      if (passed > 0) await this.#writeBack(extent, passed)
      const rest = extent.length - passed
      if (rest <= 0) return
      const next: Extent = {
        kind: 'data',
        guest: extent.guest + passed,
        host: extent.host + passed,
        length: rest,
      }
      if (this.#active) this.#pending.add(next)
      else this.#active = next
      return
    }
    if (passed < extent.hostLength && this.#active) {
      this.#pending.add(extent)
      return
    }
    if (passed === extent.hostLength && !this.#wants(extent.guest, extent.length)) return
    const bytes = Buffer.allocUnsafeSlow(extent.hostLength)
    if (passed > 0) bytes.set(await this.#startOfPayload(extent, passed))
    const payload = { host: extent.host, bytes }
    if (passed < extent.hostLength) {
      this.#active = extent
      this.#payload = payload
    } else this.#unpack(extent, payload) // while another one may be on its way
    if (this.#unpacking.isFull) await this.#unpacking.settle()
  }

  /** What has passed of a payload: put aside, or, where it shares sectors, part of its neighbours. */
  async #startOfPayload({ host }: PackedExtent, length: number): Promise<Uint8Array> {
    const { bytes, aside, isWhole } = await this.#payloads.collect(
      { host, length },
      this.#spool,
      this.#payload,
    )
    if (!isWhole && this.#payloads.forgotten)
      this.#note('LIMIT_REACHED', host, 'compressed clusters too far from their tables')
    else if (!isWhole) this.#note('OVERLAP', host, 'a compressed cluster inside another')
    if (aside > SECTOR) this.#spooled += aside
    return bytes
  }

  /** Writes the part of an extent that has passed already. */
  async #writeBack(extent: Extent, length: number): Promise<void> {
    if (!this.#wants(extent.guest, length)) return
    const isWhole = await writeBack(this.#spool, extent, length, this.#options.sink)
    if (!isWhole) return this.#note('OVERLAP', extent.host, 'a part of another block')
    this.#spooled += length - sharedBy(this.#answered, extent.host, extent.host + length)
  }

  #wants(guest: number, length: number): boolean {
    return this.#options.sink.wants?.(guest, length) ?? true
  }

  async #write(guest: number, bytes: Uint8Array): Promise<void> {
    if (this.#wants(guest, bytes.length)) await this.#options.sink.write(guest, bytes)
  }

  /** Has a payload that is all there unpacked, by the thread pool. */
  #unpack(extent: PackedExtent, payload: Stretch | undefined): void {
    if (payload === undefined) return
    const end = Math.min(endOf(extent), this.#position) - extent.host
    const bytes = payload.bytes.subarray(0, end)
    this.#payloads.add({ host: payload.host, bytes })
    if (this.#wants(extent.guest, extent.length)) this.#unpacking.add(extent, bytes)
  }

  /**
   * Too many extents were announced to remember them. All their bytes were put aside, and all tables
   * with them, so now the parser goes through them once more.
   */
  async #finishFromSpool(): Promise<void> {
    const size = this.#position
    const read = async (at: number, length: number) =>
      this.#tail.read(at, length, size) ?? (await this.#passed(at, length, 'table'))
    const wanted = { limits: this.#options.limits, skipped: this.#accepted }
    const table = await parseAgain(this.#parser, { size, read }, wanted)
    for (let at = 0; at < table.count && !this.refused; at++) {
      const extent = table.at(at)
      if (endOf(extent) <= this.#position) await this.#beginAt(extent)
    }
    await this.#unpacking.settle(0)
  }

  #note(code: 'OVERLAP' | 'CONTENT_DAMAGED' | 'LIMIT_REACHED', at: number, found: string): void {
    this.#run.note(code, { at, found })
  }

  #stop(code: 'SIZE_LIMIT' | 'OUT_OF_RANGE' | 'LIMIT_REACHED', at: number, found: string): void {
    this.#isOver = true
    this.#active = undefined
    this.#ask = undefined
    this.#run.note(code, { at, found })
  }
}

function endOf(extent: Extent): number {
  return extent.host + (extent.kind === 'data' ? extent.length : extent.hostLength)
}
