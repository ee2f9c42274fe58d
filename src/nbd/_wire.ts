/**
 * The numbers of the NBD protocol, and how its messages are put together. Everything is big-endian.
 * Source: doc/proto.md of the NetworkBlockDevice/nbd repository.
 */

export const HELLO = 'NBDMAGICIHAVEOPT'
export const OPTION_MAGIC = 0x49484156454f5054n // IHAVEOPT
const OPTION_REPLY_MAGIC = 0x0003e889045565a9n
const REQUEST_MAGIC = 0x25609513
const SIMPLE_REPLY_MAGIC = 0x67446698
const CHUNK_MAGIC = 0x668e33ef

/** Of the server's hello and, with the same bits, the client's answer. */
export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const

export const REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errUnsupported: 2 ** 31 + 1,
  errInvalid: 2 ** 31 + 3,
  errUnknown: 2 ** 31 + 6,
  errTooBig: 2 ** 31 + 9,
} as const

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const

export const TRANSMISSION = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendDontFragment: 1 << 7,
  canMultiConnect: 1 << 8,
  sendCache: 1 << 10,
} as const

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
  resize: 8,
} as const

export const COMMAND_FLAG = { fua: 1 << 0, dontFragment: 1 << 2, requestOne: 1 << 3 } as const

export const CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
} as const
const CHUNK_DONE = 1

/** Of an extent of `base:allocation`. */
export const STATE = { data: 0, holeOfZeros: 1 | 2 } as const

export const ERROR = { EPERM: 1, EIO: 5, EINVAL: 22, EOVERFLOW: 75 } as const

/** Bytes of a request, without the payload of a write. */
export const REQUEST_SIZE = 28

export interface Request {
  readonly flags: number
  readonly command: number
  /** The client's name for it, given back with the answer. */
  readonly cookie: bigint
  readonly offset: bigint
  readonly length: number
}

/**
 * | offset | size | field                 |
 * | ------ | ---- | --------------------- |
 * | 0      | 4    | magic                 |
 * | 4      | 2    | flags                 |
 * | 6      | 2    | command               |
 * | 8      | 8    | cookie                |
 * | 16     | 8    | offset on the disk    |
 * | 24     | 4    | length                |
 *
 * Undefined when the magic is wrong: then nobody knows where the next request begins.
 */
export function parseRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return undefined
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookie: bytes.readBigUInt64BE(8),
    offset: bytes.readBigUInt64BE(16),
    length: bytes.readUInt32BE(24),
  }
}

/** Answer to an option: magic (8), the option, what kind of answer, length of the data (4 each), data. */
export function optionReply(
  option: number,
  reply: number,
  data: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(20)
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0)
  head.writeUInt32BE(option, 8)
  head.writeUInt32BE(reply, 12)
  head.writeUInt32BE(data.length, 16)
  return Buffer.concat([head, data])
}

/** Answer to a request: magic, error (4 each), cookie (8); the content of a read follows. */
export function simpleReply(cookie: bigint, error = 0): Buffer {
  const reply = Buffer.alloc(16)
  reply.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0)
  reply.writeUInt32BE(error, 4)
  reply.writeBigUInt64BE(cookie, 8)
  return reply
}

/**
 * Head of a chunk of a structured reply: magic (4), flags, type (2 each), cookie (8), length (4);
 * then what `fields` gives. `more` bytes follow that are sent by the caller.
 */
export function chunkHead(
  type: number,
  { cookie, done, fields = [], more = 0 }: ChunkParts,
): Buffer {
  const length = fields.reduce((sum, { size }) => sum + size, 0)
  const head = Buffer.alloc(20 + length)
  head.writeUInt32BE(CHUNK_MAGIC, 0)
  head.writeUInt16BE(done ? CHUNK_DONE : 0, 4)
  head.writeUInt16BE(type, 6)
  head.writeBigUInt64BE(cookie, 8)
  head.writeUInt32BE(length + more, 16)
  let at = 20
  for (const { size, value } of fields) {
    if (size === 8) head.writeBigUInt64BE(BigInt(value), at)
    else head.writeUIntBE(value, at, size)
    at += size
  }
  return head
}

interface ChunkParts {
  readonly cookie: bigint
  /** Whether it is the last one of its reply. */
  readonly done: boolean
  readonly fields?: readonly { size: 2 | 4 | 8; value: number }[]
  readonly more?: number
}
