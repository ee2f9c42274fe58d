import type { Fields } from '../../bytes/fields.ts'
import type { DiskParser, Parse, Parsing } from '../parser.ts'
import { filledParts } from './_filled-parts.ts'
import { readQcow2Bitmaps } from './_qcow2-bitmaps.ts'
import { type Qcow2Header, readQcow2Header } from './_qcow2-header.ts'
import { Qcow2L2Reader } from './_qcow2-l2.ts'
import { Qcow2Refcounts } from './_qcow2-refcounts.ts'
import { askParts, MAX_CLUSTERS, Qcow2TableQueue } from './_qcow2-tables.ts'

/** In the upper half of an L1 entry: bits 56 to 62. */
const L1_RESERVED_HIGH = 0x7f000000
const L1_OFFSET_HIGH = 0x00ffffff
/** In the lower half of entries of both tables: bits 0 to 8. */
const RESERVED_LOW = 0x1ff
/** Refcount blocks are numbered from here on, behind the last L2 table there may be. */
const FIRST_BLOCK = 2 ** 22

/**
 * QEMU's format, versions 2 and 3, with all cluster sizes, compression by zlib and zstd, and extended
 * L2 entries. Every table is read, in the order in which they stand in the file as far as it can be
 * known; no data is. Reference counts are compared with what is used.
 */
export const qcow2Parser: DiskParser = {
  name: 'qcow2',
  summary: 'QEMU copy-on-write image, versions 2 and 3',
  parse: parseQcow2,
}

function* parseQcow2(parsing: Parsing): Parse {
  const header = yield* readQcow2Header(parsing)
  const { clusterSize, virtualSize } = header
  const refcounts = new Qcow2Refcounts(clusterSize, header.refcounts.bits)
  const claim = (host: number, length: number, what: string, from: number): boolean => {
    if (!parsing.claim(host, length, what, from)) return false
    if (length > 0) refcounts.use(host, length)
    return true
  }
  claim(0, clusterSize, 'header', 0)
  const roots = rootsOf(header)
  const good = roots.filter(({ host, length, what, at }) => claim(host, length, what, at))
  if (good.length < roots.length) return { virtualSize }

  const l2 = new Qcow2L2Reader(parsing, header, refcounts)
  const queue = new Qcow2TableQueue(clusterSize)
  const readTable = (table: number, part: Fields, skipped: number) => {
    if (table < FIRST_BLOCK) l2.read(table, part, skipped)
    else refcounts.readBlock(table - FIRST_BLOCK, part, skipped)
  }
  for (const root of roots) {
    yield* queue.readBefore(root.host, readTable)
    yield* askParts(root, (part, skipped) =>
      checkRoot(part, { isL1: root.isL1, clusterSize, parsing }, (host, index, from) => {
        if (claim(host, clusterSize, root.names, from))
          queue.add(host, root.first + skipped / 8 + index)
      }),
    )
  }
  yield* queue.readBefore(Infinity, readTable)
  if (header.bitmaps !== undefined)
    yield* readQcow2Bitmaps(header.bitmaps, { parsing, clusterSize, virtualSize, claim })
  if (!header.dirty) refcounts.check(parsing, header.hasMore)
  return { virtualSize }
}

/** The tables that name tables, in the order of the file. `at`: where the header says so. */
function rootsOf({ clusterSize, l1, refcounts }: Qcow2Header) {
  const l1Root = {
    isL1: true,
    what: 'L1 table',
    names: 'L2 table',
    first: 0,
    at: 40,
    host: l1.offset,
    length: l1.entries * 8,
  }
  const refcountRoot = {
    isL1: false,
    what: 'refcount table',
    names: 'refcount block',
    first: FIRST_BLOCK,
    at: 48,
    host: refcounts.offset,
    length: refcounts.clusters * clusterSize,
  }
  return l1Root.host < refcountRoot.host ? [l1Root, refcountRoot] : [refcountRoot, l1Root]
}

/** Checks each entry of a part of the L1 or of the refcount table, and hands on what they name. */
function checkRoot(
  { bytes, start }: Fields,
  { isL1, clusterSize, parsing }: { isL1: boolean; clusterSize: number; parsing: Parsing },
  onTable: (host: number, index: number, from: number) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const part of filledParts(bytes))
    for (let at = part.start; at < part.end; at += 8) {
      const high = view.getUint32(at)
      const low = view.getUint32(at + 4)
      const host = (isL1 ? high & L1_OFFSET_HIGH : high) * 2 ** 32 + ((low & ~RESERVED_LOW) >>> 0)
      const from = start + at
      if ((low & RESERVED_LOW) !== 0 || (isL1 && (high & L1_RESERVED_HIGH) !== 0))
        parsing.note('ENTRY_INVALID', {
          at: from,
          found: `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`,
        })
      else if (host % clusterSize !== 0)
        parsing.note('MISALIGNED', {
          at: from,
          found: `a table at byte ${host}`,
          expected: `a multiple of ${clusterSize}`,
        })
      else if (host >= MAX_CLUSTERS * clusterSize)
        parsing.note('OUT_OF_RANGE', { at: from, found: `a table at byte ${host}` })
      else if (host !== 0) onTable(host, at / 8, from)
    }
}
