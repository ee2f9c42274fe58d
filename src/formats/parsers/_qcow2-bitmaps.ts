import type { Fields } from '../../bytes/fields.ts'
import { MAX_ASK, type Parsing } from '../parser.ts'
import { askParts, type Work } from './_qcow2-tables.ts'

const ENTRY_HEAD = 24
const MAX_NAME = 1023
const MAX_BITMAPS = 65535
const DIRTY_TRACKING = 1
/** In use; to be kept up; extra data of it may be left out of account. */
const FLAGS = 0b111
/** Of an entry of a bitmap's table: bits 1 to 8 and 56 to 63; bit 0 says that all bits are set. */
const RESERVED_HIGH = 0xff000000
const RESERVED_LOW = 0x1fe
const ALL_SET = 1

/** What the header's extension about bitmaps says. */
export interface Qcow2Bitmaps {
  readonly count: number
  readonly size: number
  readonly offset: number
  /** Where the extension stands. */
  readonly from: number
}

interface Context {
  readonly parsing: Parsing
  readonly clusterSize: number
  readonly virtualSize: number
  /** As that of the parser, and counts the use. */
  claim(host: number, length: number, what: string, from: number): boolean
}

/** Reads the extension at byte `at` of the header. */
export function readBitmapsExtension(header: Fields, at: number): Qcow2Bitmaps {
  const data = at + 8
  return {
    count: header.u32(data),
    size: header.size(data + 8),
    offset: header.size(data + 16),
    from: at,
  }
}

/**
 * Checks the bitmaps of changes that a file keeps for backups. Their content is of no use to us, but
 * they must not stand where something else does.
 *
 * | offset | size | of an entry of the directory                      |
 * | ------ | ---- | ------------------------------------------------- |
 * | 0, 8   | 8, 4 | offset and entries of the bitmap's table          |
 * | 12     | 4    | flags                                             |
 * | 16, 17 | 1, 1 | type: 1; bytes of a bit as a power of two         |
 * | 18, 20 | 2, 4 | lengths of the name, and of what stands before it |
 *
 * An entry is padded to 8 bytes. Big-endian. Source: QEMU, docs/interop/qcow2.txt.
 */
export function* readQcow2Bitmaps(bitmaps: Qcow2Bitmaps, context: Context): Work {
  const { count, size, offset, from } = bitmaps
  const { parsing, clusterSize } = context
  if (size > MAX_ASK || count > MAX_BITMAPS)
    parsing.note('TABLE_TOO_LARGE', { at: from, found: `${count} bitmaps in ${size} bytes` })
  else if (count === 0 || size < count * ENTRY_HEAD)
    parsing.note('HEADER_INVALID', { at: from, found: `${count} bitmaps in ${size} bytes` })
  else if (offset === 0 || offset % clusterSize !== 0)
    parsing.note('MISALIGNED', { at: from, found: `a directory of bitmaps at byte ${offset}` })
  else if (context.claim(offset, size, 'directory of bitmaps', from))
    yield* readDirectory(bitmaps, context)
}

function* readDirectory({ count, size, offset }: Qcow2Bitmaps, context: Context): Work {
  const directory = yield { at: offset, length: size, name: 'directory of bitmaps', order: 'big' }
  let at = 0
  for (let index = 0; index < count; index++) {
    const length = entryLength(directory, at)
    if (length === undefined) {
      context.parsing.note('ENTRY_INVALID', {
        at: offset + at,
        found: 'an entry that is not all there',
      })
      return
    }
    yield* readBitmap(directory, at, context)
    at += length
  }
}

/** The bytes of an entry, with its padding, if it is inside the directory and makes sense. */
function entryLength(directory: Fields, at: number): number | undefined {
  const left = directory.bytes.length - at
  if (left < ENTRY_HEAD) return undefined
  const name = directory.u16(at + 18)
  const length = Math.ceil((ENTRY_HEAD + directory.u32(at + 20) + name) / 8) * 8
  return name <= MAX_NAME && length <= left ? length : undefined
}

function* readBitmap(
  directory: Fields,
  at: number,
  { parsing, clusterSize, virtualSize, claim }: Context,
): Work {
  const from = directory.start + at
  const host = directory.size(at)
  const entries = directory.u32(at + 8)
  const what = 'table of a bitmap'
  const type = directory.u8(at + 16)
  const granularity = directory.u8(at + 17)
  const needed = Math.ceil(Math.ceil(virtualSize / 2 ** granularity / 8) / clusterSize)
  if (type !== DIRTY_TRACKING || granularity < 9 || granularity > 31 || entries > needed)
    parsing.note('ENTRY_INVALID', {
      at: from,
      found: `a bitmap of type ${type}, 2^${granularity} bytes a bit, ${entries} clusters`,
      expected: `type ${DIRTY_TRACKING}, 2^9 to 2^31 bytes, at most ${needed} clusters`,
    })
  else if ((directory.u32(at + 12) & ~FLAGS) !== 0)
    parsing.note('UNKNOWN_FEATURE', {
      at: from + 12,
      found: `a bitmap with flags 0x${directory.u32(at + 12).toString(16)}`,
    })
  else if (host % clusterSize !== 0 || (host === 0 && entries > 0))
    parsing.note('MISALIGNED', { at: from, found: `the table of a bitmap at byte ${host}` })
  else if (claim(host, entries * 8, what, from))
    yield* askParts({ host, length: entries * 8, what }, (part) =>
      checkTable(part, { parsing, clusterSize, claim }),
    )
}

function checkTable(
  { bytes, start }: Fields,
  { parsing, clusterSize, claim }: Pick<Context, 'parsing' | 'clusterSize' | 'claim'>,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let entry = 0; entry < view.byteLength; entry += 8) {
    const high = view.getUint32(entry)
    const low = view.getUint32(entry + 4)
    const place = high * 2 ** 32 + ((low & ~RESERVED_LOW & ~ALL_SET) >>> 0)
    const reserved = (high & RESERVED_HIGH) !== 0 || (low & RESERVED_LOW) !== 0
    if (reserved || (place !== 0 && (low & ALL_SET) !== 0) || place % clusterSize !== 0)
      parsing.note('ENTRY_INVALID', {
        at: start + entry,
        found: `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`,
      })
    else if (place !== 0) claim(place, clusterSize, 'bitmap', start + entry)
  }
}
