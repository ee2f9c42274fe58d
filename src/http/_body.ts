import type { FastifyReply, FastifyRequest } from 'fastify'
import { setTimeout as wait } from 'node:timers/promises'
import { Failure, messageOf } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import { ArrivingBody } from './_arriving-body.ts'

/** A request, and the answer to it. */
export interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** Of a body that is taken whole, unless somebody who needs more says so. */
const MAX_BODY = 2 * MiB
const MAX_DEPTH = 32
/** For the whole of such a body. */
const WHOLE_MS = 60_000
/** A client that sends nothing for so long is gone. */
export const STALL_MS = 120_000

/** What is read, and thrown away, of bodies that nobody wanted, so that the refusal reaches who sends them. */
const DRAIN_BYTES = 1024 * MiB
const DRAIN_MS = 60_000
/** Bodies up to here are waited for without a word; the connection can be used again. */
const SMALL_BODY = 64 * KiB

/** Whether the request announces a body. */
export function hasBody({ headers }: FastifyRequest['raw']): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}

/**
 * The body as it arrives; a client that waits to be told to go on is told so when the first part is asked
 * for. While the caller is at work on a part, nobody is in a hurry.
 * Fails with READER_GONE when the client leaves before all is there.
 */
export async function* readBody({ request, reply }: Exchange): AsyncGenerator<Buffer> {
  const { raw } = request
  if (/\b100-continue\b/i.test(raw.headers.expect ?? '') && !reply.raw.headersSent)
    reply.raw.writeContinue()
  const { socket } = raw
  using body = new ArrivingBody(raw)
  try {
    for (;;) {
      if (body.isLate) socket.setTimeout(STALL_MS)
      const parts = await body.take()
      if (parts.length === 0) return
      socket.setTimeout(0)
      yield* parts
    }
  } finally {
    socket.setTimeout(0) // until it is answered, it is we who are slow
  }
}

/**
 * The whole body, of at most so many bytes. Fails with REQUEST_INVALID (none), LIMIT_EXCEEDED, REQUEST_TIMEOUT, READER_GONE.
 */
export async function readWhole(exchange: Exchange, maximum = MAX_BODY): Promise<Buffer> {
  if (!hasBody(exchange.request.raw)) throw invalid('a body was expected, and there is none')
  const length = Number(exchange.request.headers['content-length'] ?? 0)
  if (length > maximum) throw tooLong(maximum)
  return await withDeadline(readAll(exchange, maximum))
}

/**
 * The body as JSON: any media type, UTF-8, of bounded length and depth, without what databases cannot hold.
 * Fails with REQUEST_INVALID, LIMIT_EXCEEDED, REQUEST_TIMEOUT, READER_GONE.
 */
export async function readJson(exchange: Exchange, maximum = MAX_BODY): Promise<unknown> {
  return parseJson(await readWhole(exchange, maximum))
}

/** Text, if the bytes are UTF-8. Fails with REQUEST_INVALID. */
export function parseText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw invalid('the body is not UTF-8', error)
  }
}

/** As `readJson`, of bytes that are there. Fails with REQUEST_INVALID. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = parseText(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid(`the body is not JSON: ${messageOf(error)}`, error)
  }
  checkSound(value)
  return value
}

/** A JSON body that has to be an object. Fails as `readJson` does. */
export async function readJsonObject(exchange: Exchange): Promise<Record<string, unknown>> {
  return asObject(await readJson(exchange))
}

/** Fails with REQUEST_INVALID. */
export function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('the body has to be a JSON object')
  return value as Record<string, unknown>
}

async function readAll(exchange: Exchange, maximum: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of readBody(exchange)) {
    length += part.length
    if (length > maximum) throw tooLong(maximum)
    parts.push(part)
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, length)
}

async function withDeadline<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = wait(WHOLE_MS, undefined, { signal: timer.signal, ref: false }).then(
    () => {
      throw new Failure('REQUEST_TIMEOUT', `the body did not arrive in ${WHOLE_MS / 1000} seconds`)
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
    work.catch(() => {})
  }
}

/** Refuses what is nested too deeply, texts that databases cannot hold, and names that mean something to JavaScript. */
function checkSound(value: unknown, depth = 0): void {
  if (typeof value === 'string') checkText(value)
  if (typeof value !== 'object' || value === null) return
  if (depth >= MAX_DEPTH) throw invalid(`the body is nested more than ${MAX_DEPTH} levels deep`)
  if (Array.isArray(value)) {
    for (const item of value) checkSound(item, depth + 1)
    return
  }
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') throw invalid('no member can be called __proto__')
    checkText(key)
    checkSound(member, depth + 1)
  }
}

/** Fails with REQUEST_INVALID when no database could hold the text. */
export function checkText(text: string): void {
  if (text.includes('\0')) throw invalid('a text holds the character U+0000')
  if (!text.isWellFormed()) throw invalid('a text holds half a character')
}

/** Whether so much of the body is still to come that answering and closing would cut the client off. */
export function isStillSending({ raw }: FastifyRequest): boolean {
  if (raw.complete || raw.destroyed || !hasBody(raw)) return false
  const length = raw.headers['content-length']
  return length === undefined || Number(length) > SMALL_BODY || raw.headers.expect !== undefined
}

/**
 * Takes what a client still sends after it was answered, within bounds, so that closing the connection does
 * not take the answer from it.
 */
export async function drain({ raw }: FastifyRequest): Promise<void> {
  const { socket } = raw
  const end = new AbortController()
  let left = DRAIN_BYTES
  const finished = new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'error'] as const) raw.once(event, () => resolve())
    socket.once('close', () => resolve())
    raw.on('data', (part: Buffer) => {
      left -= part.length
      if (left < 0) resolve()
    })
  })
  raw.resume()
  const bound = wait(DRAIN_MS, undefined, { signal: end.signal, ref: false }).catch(() => {})
  await Promise.race([finished, bound])
  end.abort()
}

function invalid(message: string, cause?: unknown): Failure {
  return new Failure('REQUEST_INVALID', message, { cause })
}

function tooLong(maximum: number): Failure {
  return new Failure('LIMIT_EXCEEDED', `the body is longer than ${maximum} bytes`, {
    details: { maximum },
  })
}
