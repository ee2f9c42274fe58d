import type { NbdExport } from './export.ts'
import {
  HANDSHAKE,
  HELLO,
  INFO,
  OPTION,
  OPTION_MAGIC,
  optionReply,
  REPLY,
  TRANSMISSION,
} from './_wire.ts'

/** What client and server agreed on before the first request. */
export interface Agreement {
  /** Replies to reads come in chunks, holes as holes. */
  readonly structured: boolean
  /** The client may ask which parts are data. */
  readonly allocation: boolean
}

/** What a negotiation does next: sends bytes, or wants exactly so many. */
export type Step = { readonly send: Buffer } | { readonly want: number }

/** Most bytes of a read. What clients ask for when nothing is said, by the protocol. */
export const MAX_READ = 32 * 1024 * 1024
/** Names may have 4096 bytes; an option has one or two of them. */
const MAX_OPTION = 64 * 1024
const MAX_OPTIONS = 256
const CONTEXT = 'base:allocation'
/** The client's name of the one context it can have. */
export const CONTEXT_ID = 1

/**
 * The talk before the first request, in the fixed newstyle: a generator that gives what is to be sent,
 * and is given the bytes it wants. It returns what was agreed on, or undefined when the client took
 * its leave or broke the rules; the connection then ends. Options it does not know (STARTTLS among
 * them) are refused, and the client goes on without.
 */
export function* negotiate(exported: NbdExport): Generator<Step, Agreement | undefined, Buffer> {
  yield { send: hello() }
  const flags = (yield { want: 4 }).readUInt32BE(0)
  if ((flags & ~(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)) !== 0) return undefined
  const state = { structured: false, allocation: false }
  for (let count = 0; count < MAX_OPTIONS; count++) {
    const head = yield { want: 16 }
    if (head.readBigUInt64BE(0) !== OPTION_MAGIC) return undefined
    const option = head.readUInt32BE(8)
    const length = head.readUInt32BE(12)
    if (length > MAX_OPTION) {
      if (option !== OPTION.exportName)
        yield { send: refuse(option, REPLY.errTooBig, `at most ${MAX_OPTION} bytes`) }
      return undefined
    }
    const data = length === 0 ? Buffer.alloc(0) : yield { want: length }
    if (option === OPTION.exportName) {
      if (data.toString() !== exported.name) return undefined // this option has no way to say no
      const zeros = (flags & HANDSHAKE.noZeroes) === 0 ? 124 : 0
      yield { send: Buffer.concat([sizeAndFlags(exported, state), Buffer.alloc(zeros)]) }
      return state
    }
    if (option === OPTION.abort) {
      yield { send: optionReply(option, REPLY.ack) }
      return undefined
    }
    const { replies, chosen } = answer(option, data, exported, state)
    yield { send: Buffer.concat(replies) }
    if (chosen) return state
  }
  return undefined
}

interface State {
  structured: boolean
  allocation: boolean
}

interface Answer {
  replies: Buffer[]
  /** The export is chosen: requests follow. */
  chosen?: boolean
}

function answer(option: number, data: Buffer, exported: NbdExport, state: State): Answer {
  switch (option) {
    case OPTION.list:
      return { replies: list(data, exported) }
    case OPTION.structuredReply:
      if (data.length > 0) return refusal(option, REPLY.errInvalid, 'this option has no data')
      state.structured = true
      return { replies: [optionReply(option, REPLY.ack)] }
    case OPTION.info:
    case OPTION.go:
      return inform(option, data, exported, state)
    case OPTION.listMetaContext:
    case OPTION.setMetaContext:
      return chooseContext(option, data, exported, state)
    default:
      return refusal(option, REPLY.errUnsupported, 'this server does not know the option')
  }
}

function list(data: Buffer, { name, description }: NbdExport): Buffer[] {
  const option = OPTION.list
  if (data.length > 0) return [refuse(option, REPLY.errInvalid, 'this option has no data')]
  const entry = Buffer.concat([withLength(name), Buffer.from(description)])
  return [optionReply(option, REPLY.server, entry), optionReply(option, REPLY.ack)]
}

/** INFO and GO: name (after its length, 4), count (2), what is to be told (2 each). */
function inform(option: number, data: Buffer, exported: NbdExport, state: State): Answer {
  const words = new Words(data)
  const name = words.text()
  const wanted = Array.from({ length: words.u16() }, () => words.u16())
  if (!words.isWhole) return refusal(option, REPLY.errInvalid, 'the lengths contradict each other')
  if (name !== exported.name)
    return refusal(option, REPLY.errUnknown, 'there is no export of this name')
  const info = (type: number, ...parts: Uint8Array[]) =>
    optionReply(option, REPLY.info, Buffer.concat([u16(type), ...parts]))
  const replies = [info(INFO.export, sizeAndFlags(exported, state))]
  if (wanted.includes(INFO.name)) replies.push(info(INFO.name, Buffer.from(exported.name)))
  if (wanted.includes(INFO.description))
    replies.push(info(INFO.description, Buffer.from(exported.description)))
  if (wanted.includes(INFO.blockSize))
    replies.push(info(INFO.blockSize, u32(1), u32(exported.map.unit), u32(MAX_READ)))
  return {
    replies: [...replies, optionReply(option, REPLY.ack)],
    chosen: option === OPTION.go,
  }
}

/** Contexts: name (after its length, 4), count (4), queries (each after its length, 4). */
function chooseContext(option: number, data: Buffer, exported: NbdExport, state: State): Answer {
  if (option === OPTION.setMetaContext) state.allocation = false
  if (!state.structured)
    return refusal(option, REPLY.errInvalid, 'ask for structured replies first')
  const words = new Words(data)
  const name = words.text()
  const queries = Array.from({ length: Math.min(words.u32(), MAX_OPTION / 4) }, () => words.text())
  if (!words.isWhole) return refusal(option, REPLY.errInvalid, 'the lengths contradict each other')
  if (name !== exported.name)
    return refusal(option, REPLY.errUnknown, 'there is no export of this name')
  const listing = option === OPTION.listMetaContext
  const asked = listing
    ? queries.length === 0 || queries.includes('base:') || queries.includes(CONTEXT)
    : queries.includes(CONTEXT)
  if (!listing) state.allocation = asked
  const context = Buffer.concat([u32(listing ? 0 : CONTEXT_ID), Buffer.from(CONTEXT)])
  const replies = asked ? [optionReply(option, REPLY.metaContext, context)] : []
  return { replies: [...replies, optionReply(option, REPLY.ack)] }
}

function hello(): Buffer {
  return Buffer.concat([Buffer.from(HELLO), u16(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)])
}

/** Size of the disk (8) and what may be done with it (2). */
function sizeAndFlags({ disk }: NbdExport, { structured }: State): Buffer {
  const bytes = Buffer.alloc(10)
  bytes.writeBigUInt64BE(BigInt(disk.size), 0)
  const { hasFlags, readOnly, sendFlush, canMultiConnect, sendCache } = TRANSMISSION
  const always = hasFlags | readOnly | sendFlush | canMultiConnect | sendCache
  bytes.writeUInt16BE(always | (structured ? TRANSMISSION.sendDontFragment : 0), 8)
  return bytes
}

function refuse(option: number, reply: number, why: string): Buffer {
  return optionReply(option, reply, Buffer.from(why))
}

function refusal(option: number, reply: number, why: string): Answer {
  return { replies: [refuse(option, reply, why)] }
}

/** Numbers and texts of an option, one after the other. What is missing reads as nothing. */
class Words {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u16(): number {
    return this.#take(2)?.readUInt16BE(0) ?? 0
  }

  u32(): number {
    return this.#take(4)?.readUInt32BE(0) ?? 0
  }

  /** Text after its length (4). */
  text(): string {
    return this.#take(this.u32())?.toString() ?? ''
  }

  /** Whether exactly all bytes were taken: none was missing, none is left. */
  get isWhole(): boolean {
    return this.#at === this.#bytes.length
  }

  #take(length: number): Buffer | undefined {
    const from = this.#at
    this.#at += length // past the end it stays, and all that follows is missing too
    return this.#at <= this.#bytes.length ? this.#bytes.subarray(from, this.#at) : undefined
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([u32(bytes.length), bytes])
}
