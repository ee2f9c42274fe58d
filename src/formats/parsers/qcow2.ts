import type { Fields } from '../../bytes/fields.ts'
import { type Ask, type DiskParser, MAX_ASK, type Parse, type Parsing } from '../parser.ts'
import { type Qcow2Header, readQcow2Header } from './_qcow2-header.ts'
import { Qcow2L2Reader } from './_qcow2-l2.ts'
import { Qcow2Refcounts } from './_qcow2-refcounts.ts'

/** In the upper half of an L1 entry: bits 56 to 62. In its lower half: bits 0 to 8. */
const L1_RESERVED_HIGH = 0x7f000000
const RESERVED_LOW = 0x1ff
const OFFSET_HIGH = 0x00ffffff
/** No file has a cluster of this number, so that a place and what stands there fit one number. */
const MAX_CLUSTERS = 2 ** 30
const MAX_TABLES = 2 ** 23
/** Among the numbers of tables, those of refcount blocks begin behind the last L1 entry there may be. */
const FIRST_BLOCK = 2 ** 22

/**
 * QEMU's format, versions 2 and 3, with all cluster sizes, compression by zlib and zstd, and extended
 * L2 entries. Every table is read, and in the order in which they stand in the file; no data is.
 * Reference counts are compared with what is used.
 */
export const qcow2Parser: DiskParser = {
  name: 'qcow2',
  summary: 'QEMU copy-on-write image, versions 2 and 3',
  parse: parseQcow2,
}

type Work = Generator<Ask, void, Fields>

function* parseQcow2(parsing: Parsing): Parse {
  const header = yield* readQcow2Header(parsing)
  const { clusterSize, l1, refcounts: counts, virtualSize } = header
  const refcounts = new Qcow2Refcounts(clusterSize, counts.bits)
  const claim = (host: number, length: number, what: string, from: number): boolean => {
    if (!parsing.claim(host, length, what, from)) return false
    if (length > 0) refcounts.use(host, length)
    return true
  }
  claim(0, clusterSize, 'header', 0)
  const roots = [
    { host: counts.offset, length: counts.clusters * clusterSize, what: 'refcount table', at: 48 },
    { host: l1.offset, length: l1.entries * 8, what: 'L1 table', at: 40 },
  ].filter(({ host, length, what, at }) => claim(host, length, what, at))
  if (roots.length < 2) return { virtualSize }

  const places: number[] = []
  for (const root of roots.sort((a, b) => a.host - b.host)) {
    const isL1 = root.what === 'L1 table'
    const keep = (place: number, index: number, from: number) => {
      if (claim(place, clusterSize, isL1 ? 'L2 table' : 'refcount block', from))
        places.push((place / clusterSize) * MAX_TABLES + index + (isL1 ? 0 : FIRST_BLOCK))
    }
    yield* forParts(root, (skipped, part) =>
      checkRoot(part, { isL1, header, parsing }, (host, index, from) =>
        keep(host, skipped / 8 + index, from),
      ),
    )
  }

  const l2 = new Qcow2L2Reader(parsing, header, refcounts)
  yield* forTables(Float64Array.from(places).sort(), clusterSize, (table, skipped, part) => {
    if (table < FIRST_BLOCK) l2.read(table, skipped, part)
    else refcounts.readBlock(table - FIRST_BLOCK, skipped, part)
  })
  if (!header.dirty) refcounts.check(parsing, header.hasMore)
  return { virtualSize }
}

/** Checks each entry of a part of the L1 or of the refcount table, and hands on what they name. */
function checkRoot(
  { bytes, start }: Fields,
  { isL1, header, parsing }: { isL1: boolean; header: Qcow2Header; parsing: Parsing },
  onTable: (host: number, index: number, from: number) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < view.byteLength; at += 8) {
    const high = view.getUint32(at)
    const low = view.getUint32(at + 4)
    if ((high | low) === 0) continue
    const host = (isL1 ? high & OFFSET_HIGH : high) * 2 ** 32 + ((low & ~RESERVED_LOW) >>> 0)
    const from = start + at
    if ((low & RESERVED_LOW) !== 0 || (isL1 && (high & L1_RESERVED_HIGH) !== 0))
      parsing.note('ENTRY_INVALID', {
        at: from,
        found: `0x${((BigInt(high) << 32n) | BigInt(low)).toString(16)}`,
      })
    else if (host % header.clusterSize !== 0)
      parsing.note('MISALIGNED', {
        at: from,
        found: `a table at byte ${host}`,
        expected: `a multiple of ${header.clusterSize}`,
      })
    else if (host >= MAX_CLUSTERS * header.clusterSize)
      parsing.note('OUT_OF_RANGE', { at: from, found: `a table at byte ${host}` })
    else if (host !== 0) onTable(host, at / 8, from)
  }
}

/** Asks for a table in parts. */
function* forParts(
  { host, length, what }: { host: number; length: number; what: string },
  read: (skipped: number, part: Fields) => void,
): Work {
  for (let skipped = 0; skipped < length; skipped += MAX_ASK)
    read(
      skipped,
      yield {
        at: host + skipped,
        length: Math.min(MAX_ASK, length - skipped),
        name: what,
        order: 'big',
      },
    )
}

/**
 * Asks for tables of one cluster each in the order of the file, as many at once as stand side by
 * side. `places`: cluster of the file and number of the table, in one number each, sorted.
 */
function* forTables(
  places: Float64Array,
  clusterSize: number,
  read: (table: number, skipped: number, part: Fields) => void,
): Work {
  const clusterOf = (index: number) => Math.floor((places[index] ?? 0) / MAX_TABLES)
  const most = Math.max(1, MAX_ASK / clusterSize)
  for (let first = 0; first < places.length;) {
    let end = first + 1
    while (
      end < places.length &&
      end - first < most &&
      clusterOf(end) === clusterOf(first) + end - first
    )
      end++
    const tables = { host: clusterOf(first) * clusterSize, length: (end - first) * clusterSize }
    const from = first
    yield* forParts({ ...tables, what: 'tables' }, (skipped, part) => {
      for (let at = 0; at < part.bytes.length; at += clusterSize) {
        const length = Math.min(clusterSize, part.bytes.length - at)
        const index = from + Math.floor((skipped + at) / clusterSize)
        const table = (places[index] ?? 0) % MAX_TABLES
        read(table, (skipped + at) % clusterSize, part.part('table', at, length))
      }
    })
    first = end
  }
}
