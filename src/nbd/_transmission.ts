import { messageOf } from '../base/failure.ts'
import type { Log } from '../base/log.ts'
import { KiB } from '../base/units.ts'
import { readInto } from '../bytes/source.ts'
import { Buffers } from './_buffers.ts'
import { type Agreement, CONTEXT_ID, MAX_READ } from './_negotiate.ts'
import {
  CHUNK,
  chunkHead,
  COMMAND,
  COMMAND_FLAG,
  ERROR,
  parseRequest,
  type Request,
  REQUEST_SIZE,
  simpleReply,
  STATE,
} from './_wire.ts'
import type { WireSocket } from './_wire-socket.ts'
import { type NbdExport, type Run, runsOf } from './export.ts'

/** Largest piece that is read and sent at once. */
const PIECE = 256 * KiB
/** Pieces of one client that are under way at a time. */
const PIECES = 8
/** Requests of one client that are under way at a time; the next ones wait in its socket. */
const MAX_REQUESTS = 16
/** Runs told in one answer; the client asks again for the rest. */
const MAX_RUNS = 4096
const KNOWN_FLAGS = COMMAND_FLAG.fua | COMMAND_FLAG.dontFragment | COMMAND_FLAG.requestOne
const ZEROS = Buffer.alloc(PIECE)

/** A request that is refused; the connection goes on. */
class Refusal extends Error {
  readonly error: number

  constructor(error: number, message: string) {
    super(message)
    this.error = error
  }
}

/**
 * Answers a client's requests until it takes its leave, is gone, or breaks the rules. Ends when no
 * request is under way any more, so that the disk can be closed.
 */
export async function transmit(
  socket: WireSocket,
  exported: NbdExport,
  agreement: Agreement,
  log: Log,
): Promise<void> {
  const transmission = new Transmission(socket, exported, agreement, log)
  const underWay = new Set<Promise<void>>()
  for (;;) {
    while (underWay.size >= MAX_REQUESTS) await Promise.race(underWay)
    const bytes = await socket.take(REQUEST_SIZE)
    const request = bytes && parseRequest(bytes)
    if (request === undefined || request.command === COMMAND.disconnect) break
    if (!(await skipPayload(socket, request))) break
    const answered = transmission.answer(request).finally(() => underWay.delete(answered))
    underWay.add(answered)
  }
  await Promise.all(underWay)
}

/** The content of a write follows its request, wanted or not. False when the connection is lost. */
async function skipPayload(socket: WireSocket, { command, length }: Request): Promise<boolean> {
  if (command !== COMMAND.write) return true
  return length <= MAX_READ && (await socket.skip(length))
}

class Transmission {
  readonly #socket: WireSocket
  readonly #exported: NbdExport
  readonly #agreement: Agreement
  readonly #log: Log
  readonly #buffers = new Buffers(PIECES, PIECE)
  /** Simple replies must not be mixed: the end of the one before. */
  #turn: Promise<void> = Promise.resolve()

  constructor(socket: WireSocket, exported: NbdExport, agreement: Agreement, log: Log) {
    this.#socket = socket
    this.#exported = exported
    this.#agreement = agreement
    this.#log = log
  }

  /** Never fails: the client is told, or the connection ends. */
  async answer(request: Request): Promise<void> {
    try {
      await this.#do(request)
    } catch (error) {
      if (error instanceof Refusal) return await this.#refuse(request, error)
      this.#log.error('nbd.unreadable', { message: messageOf(error) })
      await this.#refuse(request, new Refusal(ERROR.EIO, 'the disk cannot be read'))
    }
  }

  async #do(request: Request): Promise<void> {
    if ((request.flags & ~KNOWN_FLAGS) !== 0) throw new Refusal(ERROR.EINVAL, 'unknown flags')
    switch (request.command) {
      case COMMAND.read: {
        const range = this.#rangeOf(request)
        if (this.#agreement.structured) return await this.#readInChunks(request, range)
        const before = this.#turn
        const own = before.then(() => this.#readWhole(request, range))
        this.#turn = own.catch(() => {})
        return await own
      }
      case COMMAND.blockStatus:
        return await this.#tellRuns(request, this.#rangeOf(request))
      case COMMAND.cache:
        this.#rangeOf(request)
        return await this.#acknowledge(request)
      case COMMAND.flush:
        return await this.#acknowledge(request)
      case COMMAND.write:
      case COMMAND.trim:
      case COMMAND.writeZeroes:
      case COMMAND.resize:
        throw new Refusal(ERROR.EPERM, 'the disk is read only')
      default:
        throw new Refusal(ERROR.EINVAL, 'unknown command')
    }
  }

  /** The bytes it is about, within the disk and the bounds. */
  #rangeOf({ command, offset, length }: Request): { from: number; to: number } {
    const { size } = this.#exported.disk
    if (offset > BigInt(size) || Number(offset) + length > size)
      throw new Refusal(ERROR.EINVAL, 'past the end of the disk')
    if (command === COMMAND.read && length > MAX_READ)
      throw new Refusal(ERROR.EINVAL, `more than ${MAX_READ} bytes at once`)
    return { from: Number(offset), to: Number(offset) + length }
  }

  /** A reply to a read in chunks: data as it is read, holes without their zeros. */
  async #readInChunks(
    { cookie, flags }: Request,
    { from, to }: { from: number; to: number },
  ): Promise<void> {
    const whole = (flags & COMMAND_FLAG.dontFragment) !== 0
    if (whole && to - from > PIECE) throw new Refusal(ERROR.EOVERFLOW, `more than ${PIECE} bytes`)
    if (from === to) await this.#socket.give(chunkHead(CHUNK.none, { cookie, done: true }))
    const runs = whole
      ? [{ offset: from, length: to - from, data: true }]
      : runsOf(this.#exported.map, from, to)
    for (const { offset, length, data } of runs)
      if (data)
        for (const piece of piecesOf(offset, length))
          await this.#withContent(piece, async (content) => {
            const done = piece.offset + piece.length === to
            const fields = [{ size: 8 as const, value: piece.offset }]
            const more = piece.length
            const head = chunkHead(CHUNK.offsetData, { cookie, done, fields, more })
            await this.#socket.give(head, content)
          })
      else {
        const fields = [
          { size: 8 as const, value: offset },
          { size: 4 as const, value: length },
        ]
        const done = offset + length === to
        await this.#socket.give(chunkHead(CHUNK.offsetHole, { cookie, done, fields }))
      }
  }

  /**
   * A simple reply to a read: once its head is sent nothing can be said any more but the content, so
   * when the disk fails then, the connection ends.
   */
  async #readWhole({ cookie }: Request, { from, to }: { from: number; to: number }): Promise<void> {
    let head = [simpleReply(cookie)]
    const send = async (content: Uint8Array) => {
      await this.#socket.give(...head, content)
      head = []
    }
    try {
      if (from === to) await send(ZEROS.subarray(0, 0))
      for (const { offset, length, data } of runsOf(this.#exported.map, from, to))
        for (const piece of piecesOf(offset, length))
          if (data) await this.#withContent(piece, send)
          else await send(ZEROS.subarray(0, piece.length))
    } catch (error) {
      if (head.length > 0) throw error
      this.#log.error('nbd.unreadable', { message: messageOf(error) })
      this.#socket.cut()
    }
  }

  async #tellRuns(
    { cookie, flags }: Request,
    { from, to }: { from: number; to: number },
  ): Promise<void> {
    if (!this.#agreement.allocation)
      throw new Refusal(ERROR.EINVAL, 'no context was asked for that could be told')
    if (from === to) throw new Refusal(ERROR.EINVAL, 'of no bytes nothing can be told')
    const most = (flags & COMMAND_FLAG.requestOne) === 0 ? MAX_RUNS : 1
    const runs = [...runsOf(this.#exported.map, from, to).take(most)]
    const told = Buffer.alloc(runs.length * 8)
    for (const [index, { length, data }] of runs.entries()) {
      told.writeUInt32BE(length, index * 8)
      told.writeUInt32BE(data ? STATE.data : STATE.holeOfZeros, index * 8 + 4)
    }
    const fields = [{ size: 4 as const, value: CONTEXT_ID }]
    const more = told.length
    const head = chunkHead(CHUNK.blockStatus, { cookie, done: true, fields, more })
    await this.#socket.give(head, told)
  }

  /** Reads a piece into a buffer that is used again once `use` is done with it. */
  async #withContent(
    { offset, length }: Pick<Run, 'offset' | 'length'>,
    use: (content: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const buffer = await this.#buffers.take()
    try {
      if (this.#socket.closed) return // nobody waits for it
      const content = buffer.subarray(0, length)
      await readInto(this.#exported.disk, content, offset)
      await use(content)
    } finally {
      this.#buffers.give(buffer)
    }
  }

  async #acknowledge({ cookie }: Request): Promise<void> {
    await this.#socket.give(simpleReply(cookie))
  }

  async #refuse({ cookie }: Request, { error, message }: Refusal): Promise<void> {
    if (!this.#agreement.structured) return await this.#socket.give(simpleReply(cookie, error))
    const text = Buffer.from(message)
    const fields = [
      { size: 4 as const, value: error },
      { size: 2 as const, value: text.length },
    ]
    const head = chunkHead(CHUNK.error, { cookie, done: true, fields, more: text.length })
    await this.#socket.give(head, text)
  }
}

/** A run in parts that fit a buffer. */
function* piecesOf(offset: number, length: number): Generator<{ offset: number; length: number }> {
  for (let done = 0; done < length; done += PIECE)
    yield { offset: offset + done, length: Math.min(PIECE, length - done) }
}
