/**
 * A zip archive with one file in it, as it comes: the file is unpacked before the directory at the end is
 * there, which then has to agree. Source: PKWARE's APPNOTE, 4.3. Little-endian.
 *
 * | local header | directory entry | size | field                                                |
 * | ------------ | --------------- | ---- | ---------------------------------------------------- |
 * | 0            | 0               | 4    | `PK\3\4`; `PK\1\2`                                   |
 * | 6            | 8               | 2    | flags: 0x1, 0x40, 0x2000 encrypted; 0x8 sizes follow |
 * | 8            | 10              | 2    | 0 stored, 8 deflated                                 |
 * | 14           | 16              | 4    | CRC-32                                               |
 * | 18           | 20              | 4    | packed size; all ones: in the extra fields           |
 * | 22           | 24              | 4    | size; all ones: in the extra fields                  |
 * | 26           | 28              | 2    | length of the name, which follows at 30; at 46       |
 * | 28           | 30              | 2    | length of the extra fields, behind the name          |
 * |              | 32              | 2    | length of the comment, behind those                  |
 */
import { once } from 'node:events'
import { createInflateRaw, crc32 } from 'node:zlib'
import { messageOf } from '../base/failure.ts'
import { KiB } from '../base/units.ts'

export type ZipFault = 'TRUNCATED' | 'CONTENT_DAMAGED' | 'ARCHIVE_MEMBER'

/** Why an archive cannot be unpacked. */
export class ZipError extends Error {
  readonly fault: ZipFault

  constructor(fault: ZipFault, message: string) {
    super(message)
    this.fault = fault
  }
}

const HEADER = 30
const ENTRY = 46
const ENCRYPTED = 0x2041
const IN_EXTRA = 0xffffffff
/** What may stand behind the file: its directory entry, with name, extra fields and comments. */
const MOST_TAIL = 256 * KiB
/** Deflated bytes that are unpacked at once, to as much as a thousand times as many. */
const PIECE = 8 * KiB

interface Member {
  readonly method: number
  /** Of a file that is stored as it is. */
  readonly size: number
}

/** What the file in the archive holds. Fails with ZipError. */
export async function* unzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = new Input(chunks)
  const member = await readHeader(input)
  const sum = { crc: 0, size: 0 }
  for await (const bytes of member.method === 8 ? inflated(input) : stored(input, member.size)) {
    sum.crc = crc32(bytes, sum.crc)
    sum.size += bytes.length
    yield bytes
  }
  const tail: Buffer[] = []
  let size = 0
  for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) {
    tail.push(chunk)
    size += chunk.length
    if (size > MOST_TAIL) throw new ZipError('ARCHIVE_MEMBER', 'more than one file in the archive')
  }
  checkTail(Buffer.concat(tail), sum)
}

async function readHeader(input: Input): Promise<Member> {
  const header = await input.take(HEADER)
  const [flags, method] = [header.readUInt16LE(6), header.readUInt16LE(8)]
  const name = await input.take(header.readUInt16LE(26))
  const extra = await input.take(header.readUInt16LE(28))
  if ((flags & ENCRYPTED) !== 0)
    throw new ZipError('CONTENT_DAMAGED', 'the file in the archive is encrypted')
  if (name.at(-1) === 0x2f) throw new ZipError('ARCHIVE_MEMBER', 'a directory in the archive')
  if (method !== 0 && method !== 8)
    throw new ZipError('CONTENT_DAMAGED', `compression method ${method} of zip`)
  if (method === 0 && (flags & 8) !== 0)
    throw new ZipError('CONTENT_DAMAGED', 'a stored file whose size is not told before it')
  const size = header.readUInt32LE(18)
  return { method, size: size === IN_EXTRA ? packedSizeIn(extra) : size }
}

/** Field 1 of the extra fields holds the size, and behind it the packed size. */
function packedSizeIn(extra: Buffer): number {
  for (let at = 0; at + 4 <= extra.length;) {
    const length = extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === 1 && length >= 16 && at + 20 <= extra.length)
      return Number(extra.readBigUInt64LE(at + 12))
    at += 4 + length
  }
  throw new ZipError('CONTENT_DAMAGED', 'a large file without its size')
}

async function* stored(input: Input, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0;) {
    const chunk = await input.next()
    if (chunk === undefined) throw new ZipError('TRUNCATED', 'the archive ends inside its file')
    const part = chunk.subarray(0, left)
    if (part.length < chunk.length) input.giveBack(chunk.subarray(part.length))
    left -= part.length
    yield part
  }
}

async function* inflated(input: Input): AsyncGenerator<Buffer> {
  const inflate = createInflateRaw({ chunkSize: 256 * KiB })
  let out: Buffer[] = []
  let fault: unknown
  let release: (() => void) | undefined
  inflate.on('close', () => release?.()) // one that is damaged never says that it took a piece
  inflate.on('data', (bytes: Buffer) => out.push(bytes))
  inflate.on('error', (error) => (fault = error))
  let given = 0
  try {
    while (!inflate.readableEnded) {
      const chunk = await input.next()
      if (chunk === undefined) throw new ZipError('TRUNCATED', 'the archive ends inside its file')
      const piece = chunk.subarray(0, PIECE)
      if (piece.length < chunk.length) input.giveBack(chunk.subarray(piece.length))
      given += piece.length
      await new Promise<void>((resolve) => {
        release = resolve
        inflate.write(piece, () => resolve())
      })
      if (fault !== undefined) throw new ZipError('CONTENT_DAMAGED', messageOf(fault))
      if (inflate.bytesWritten < given) {
        if (!inflate.readableEnded) await once(inflate, 'end')
        input.giveBack(piece.subarray(piece.length - (given - inflate.bytesWritten)))
      }
      const ready = out
      out = []
      yield* ready
    }
  } finally {
    inflate.destroy()
  }
}

/** Behind the file: its sizes again, if they were not told before; one directory entry; the end. */
function checkTail(tail: Buffer, { crc, size }: { crc: number; size: number }): void {
  const is = (at: number, magic: string) => tail.toString('latin1', at, at + 4) === magic
  if (is(0, 'PK\x03\x04') || [12, 16, 20, 24].some((at) => is(at, 'PK\x03\x04')))
    throw new ZipError('ARCHIVE_MEMBER', 'more than one file in the archive')
  const at = [0, 12, 16, 20, 24].find((at) => is(at, 'PK\x01\x02'))
  if (at === undefined || at + ENTRY > tail.length)
    throw new ZipError('TRUNCATED', 'the archive ends before its directory')
  const lengths = [28, 30, 32].map((field) => tail.readUInt16LE(at + field))
  const end = lengths.reduce((sum, length) => sum + length, at + ENTRY)
  if (is(end, 'PK\x01\x02'))
    throw new ZipError('ARCHIVE_MEMBER', 'more than one file in the archive')
  if (!is(end, 'PK\x05\x06') && !is(end, 'PK\x06\x06'))
    throw new ZipError('TRUNCATED', 'the archive ends inside its directory')
  const told = tail.readUInt32LE(at + 24)
  if (tail.readUInt32LE(at + 16) !== crc || (told !== IN_EXTRA && told !== size))
    throw new ZipError('CONTENT_DAMAGED', 'the file is not what the directory says')
}

/** Chunks, of which parts can be given back. */
class Input {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #back: Buffer[] = []

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  async next(): Promise<Buffer | undefined> {
    const back = this.#back.pop()
    if (back !== undefined) return back
    const { done, value } = await this.#chunks.next()
    return done ? undefined : value
  }

  giveBack(bytes: Buffer): void {
    if (bytes.length > 0) this.#back.push(bytes)
  }

  /** Exactly so many bytes; no more than a few. */
  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let left = length; left > 0;) {
      const chunk = await this.next()
      if (chunk === undefined) throw new ZipError('TRUNCATED', 'the archive ends inside its header')
      const part = chunk.subarray(0, left)
      if (part.length < chunk.length) this.giveBack(chunk.subarray(part.length))
      left -= part.length
      parts.push(part)
    }
    return Buffer.concat(parts)
  }
}
