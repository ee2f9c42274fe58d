import { KiB, MiB, SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Ask, Packing, Parsing } from '../parser.ts'
import { type Qcow2Bitmaps, readBitmapsExtension } from './_qcow2-bitmaps.ts'

const MAGIC = 0x514649fb
const HEADER_SIZE = { 2: 72, 3: 104 } as const
/** How much of the first cluster may hold extensions. */
const HEADER_LIMIT = 64 * KiB
const L1_LIMIT = 32 * MiB
const REFCOUNT_TABLE_LIMIT = 8 * MiB
const DIRTY = 0n
const CORRUPT = 1n
const DATA_FILE = 2n
const COMPRESSION = 3n
const EXTENDED_L2 = 4n
const KNOWN_FEATURES = 5n
const EXTENSION = {
  end: 0,
  bitmaps: 0x23852875,
  luks: 0x0537be77,
  dataFile: 0x44415441,
} as const

/** What the header of a qcow2 file says, as far as it is needed and has been checked. */
export interface Qcow2Header {
  readonly version: 2 | 3
  readonly clusterBits: number
  readonly clusterSize: number
  readonly virtualSize: number
  readonly l1: { readonly offset: number; readonly entries: number }
  readonly refcounts: {
    readonly offset: number
    /** Of the table. */
    readonly clusters: number
    /** Of one count. */
    readonly bits: number
  }
  readonly packing: Packing
  /** Entries of L2 tables are 16 bytes and tell of 32 parts of a cluster each. */
  readonly extendedL2: boolean
  /** Whether the counts are said not to be true. */
  readonly dirty: boolean
  /** Bitmaps of changes, if they are said to be up to date. */
  readonly bitmaps: Qcow2Bitmaps | undefined
  /** Whether clusters may be used by what is not followed: snapshots, stale bitmaps, keys. */
  readonly hasMore: boolean
}

/**
 * Reads and checks the header and its extensions. Goes on as long as the tables still mean what
 * they should, so that all faults come at once.
 *
 * Big-endian. Source: QEMU, docs/interop/qcow2.txt.
 *
 * | offset | size | field                                                                    |
 * | ------ | ---- | ------------------------------------------------------------------------ |
 * | 0      | 4    | magic `QFI` fb                                                           |
 * | 4      | 4    | version                                                                  |
 * | 8, 16  | 8, 4 | backing file: offset and length of its name                              |
 * | 20     | 4    | cluster bits, 9 to 21                                                    |
 * | 24     | 8    | virtual size                                                             |
 * | 32     | 4    | encryption                                                               |
 * | 36, 40 | 4, 8 | L1 table: entries, offset                                                |
 * | 48, 56 | 8, 4 | refcount table: offset, clusters                                         |
 * | 60, 64 | 4, 8 | snapshots: how many, offset                                              |
 * | 72     | 8    | incompatible features (version 3 from here on): 0 dirty, 1 corrupt, 2 external data, 3 compression, 4 extended L2 |
 * | 80, 88 | 8, 8 | compatible features; features that writers clear: 0 bitmaps              |
 * | 96     | 4    | refcount order: bits of a count as a power of two, at most 6             |
 * | 100    | 4    | length of the header                                                     |
 * | 104    | 1    | compression: 0 zlib, 1 zstd                                              |
 */
export function* readQcow2Header(parsing: Parsing): Generator<Ask, Qcow2Header, Fields> {
  const name = 'qcow2 header'
  const head = yield { at: 0, length: HEADER_SIZE[2], name, order: 'big' }
  const version = checkVersion(head, parsing)
  const clusterBits = head.u32(20)
  if (clusterBits < 9 || clusterBits > 21)
    parsing.stop('HEADER_INVALID', {
      at: 20,
      found: `clusters of 2^${clusterBits} bytes`,
      expected: '2^9 to 2^21',
    })
  const clusterSize = 2 ** clusterBits
  const length = Math.min(clusterSize, HEADER_LIMIT)
  const header = yield { at: 0, length, name, order: 'big' }
  checkOutside(header, parsing)
  const features = version === 3 ? checkFeatures(header, parsing) : VERSION_2
  const extensions = checkExtensions(header, features, parsing)
  if (features.dataFile || extensions.dataFile !== undefined)
    parsing.stop('DATA_FILE', {
      at: features.dataFile ? 72 : (extensions.dataFile ?? 0),
      found: features.dataFile ? 'external data file (bit 2)' : 'the name of a data file',
    })
  const virtualSize = checkVirtualSize(header, parsing)
  return {
    version,
    clusterBits,
    clusterSize,
    virtualSize,
    l1: checkL1(header, parsing, { clusterSize, virtualSize, extendedL2: features.extendedL2 }),
    refcounts: { ...checkRefcountTable(header, parsing, clusterSize), bits: features.refcountBits },
    packing: features.packing,
    extendedL2: features.extendedL2,
    dirty: features.dirty,
    bitmaps: extensions.bitmaps,
    hasMore: extensions.hasMore || header.u32(32) !== 0 || header.u32(60) !== 0,
  }
}

function checkVersion(head: Fields, parsing: Parsing): 2 | 3 {
  if (head.u32(0) !== MAGIC)
    parsing.stop('HEADER_INVALID', { at: 0, found: hex(head.u32(0)), expected: hex(MAGIC) })
  const version = head.u32(4)
  if (version === 1) parsing.stop('FORMAT_UNSUPPORTED', { at: 4, found: 'qcow, version 1' })
  if (version !== 2 && version !== 3)
    parsing.stop('FORMAT_VERSION', { at: 4, found: `version ${version}`, expected: '2 or 3' })
  return version
}

/** Whatever would make a reader open another file, need a key, or see another state of the disk. */
function checkOutside(header: Fields, parsing: Parsing): void {
  if (header.u64(8) !== 0n || header.u32(16) !== 0) {
    const at = Number(header.u64(8))
    const name = header.bytes.subarray(at, at + Math.min(header.u32(16), 200))
    parsing.note('BACKING_FILE', { at: 8, found: JSON.stringify(Buffer.from(name).toString()) })
  }
  const method = header.u32(32)
  if (method !== 0) parsing.note('ENCRYPTED', { at: 32, found: `method ${method}`, expected: '0' })
  const snapshots = header.u32(60)
  if (snapshots !== 0)
    parsing.note('SNAPSHOTS', { at: 60, found: `${snapshots} snapshots`, expected: '0' })
}

interface Features {
  /** Of the header: where its extensions begin. */
  readonly length: number
  readonly dirty: boolean
  readonly dataFile: boolean
  readonly extendedL2: boolean
  readonly hasBitmaps: boolean
  readonly packing: Packing
  readonly refcountBits: number
}

const VERSION_2: Features = {
  length: HEADER_SIZE[2],
  dirty: false,
  dataFile: false,
  extendedL2: false,
  hasBitmaps: false,
  packing: 'deflate',
  refcountBits: 16,
}

function checkFeatures(header: Fields, parsing: Parsing): Features {
  const bits = header.u64(72)
  const has = (bit: bigint) => ((bits >> bit) & 1n) === 1n
  if (has(DIRTY)) parsing.note('DIRTY', { at: 72, found: 'not closed cleanly (bit 0)' })
  if (has(CORRUPT)) parsing.note('DIRTY', { at: 72, found: 'marked as corrupt (bit 1)' })
  if (bits >> KNOWN_FEATURES !== 0n)
    parsing.stop('UNKNOWN_FEATURE', {
      at: 72,
      found: `incompatible features 0x${bits.toString(16)}`,
      expected: 'bits 0 to 4 only',
    })
  const length = header.u32(100)
  if (length < HEADER_SIZE[3] || length % 8 !== 0 || length > header.bytes.length)
    parsing.stop('HEADER_INVALID', {
      at: 100,
      found: `a header of ${length} bytes`,
      expected: `a multiple of 8 from ${HEADER_SIZE[3]} on, inside the first cluster`,
    })
  const compression = length > HEADER_SIZE[3] ? header.u8(104) : 0
  if (compression > 1)
    parsing.stop('UNKNOWN_FEATURE', { at: 104, found: `compression ${compression}` })
  if ((compression !== 0) !== has(COMPRESSION))
    parsing.stop('HEADER_INVALID', {
      at: 104,
      found: `compression ${compression}`,
      expected: `what bit 3 of the features says (${has(COMPRESSION) ? 1 : 0})`,
    })
  const order = header.u32(96)
  if (order > 6)
    parsing.stop('HEADER_INVALID', { at: 96, found: `refcount order ${order}`, expected: '0 to 6' })
  if (has(EXTENDED_L2) && header.u32(20) < 14)
    parsing.stop('HEADER_INVALID', {
      at: 72,
      found: `extended L2 entries, with clusters of 2^${header.u32(20)} bytes`,
      expected: 'clusters of 2^14 bytes or more',
    })
  return {
    length,
    dirty: has(DIRTY) || has(CORRUPT),
    dataFile: has(DATA_FILE),
    extendedL2: has(EXTENDED_L2),
    hasBitmaps: (header.u64(88) & 1n) === 1n,
    packing: compression === 1 ? 'zstd' : 'deflate',
    refcountBits: 2 ** order,
  }
}

interface Extensions {
  /** Where the name of a data file stands. */
  readonly dataFile: number | undefined
  readonly bitmaps: Qcow2Bitmaps | undefined
  readonly hasMore: boolean
}

/**
 * Extensions are type, length, and data padded to 8, up to type 0 or the end of the cluster. Those
 * nobody knows are harmless; of those we know, some are not.
 */
function checkExtensions(header: Fields, features: Features, parsing: Parsing): Extensions {
  let found: Extensions = { dataFile: undefined, bitmaps: undefined, hasMore: false }
  for (let at = features.length; at + 8 <= header.bytes.length;) {
    const type = header.u32(at)
    const length = header.u32(at + 4)
    if (type === EXTENSION.end) break
    if (type === EXTENSION.dataFile) return { ...found, dataFile: at }
    const left = header.bytes.length - at - 8
    if (length > left || (type === EXTENSION.bitmaps && length !== 24)) {
      parsing.note('HEADER_INVALID', {
        at: at + 4,
        found: `an extension of ${length} bytes`,
        expected: length > left ? `at most the ${left} that are left` : '24',
      })
      break
    }
    if (type === EXTENSION.luks) {
      if (header.u32(32) === 0) parsing.note('ENCRYPTED', { at, found: 'a LUKS header' })
      found = { ...found, hasMore: true }
    }
    if (type === EXTENSION.bitmaps) {
      const followed = features.hasBitmaps && found.bitmaps === undefined
      found = followed
        ? { ...found, bitmaps: readBitmapsExtension(header, at) }
        : { ...found, hasMore: true }
    }
    at += 8 + Math.ceil(length / 8) * 8
  }
  return found
}

function checkVirtualSize(header: Fields, parsing: Parsing): number {
  const size = header.u64(24)
  const limit = parsing.limits.virtualSize
  if (size > BigInt(limit))
    parsing.stop('SIZE_LIMIT', { at: 24, found: `${size} bytes`, expected: `at most ${limit}` })
  if (Number(size) % SECTOR !== 0)
    parsing.note('HEADER_INVALID', {
      at: 24,
      found: `a disk of ${size} bytes`,
      expected: 'a multiple of 512',
    })
  return Number(size)
}

function checkL1(
  header: Fields,
  parsing: Parsing,
  disk: { clusterSize: number; virtualSize: number; extendedL2: boolean },
): Qcow2Header['l1'] {
  const { clusterSize, virtualSize } = disk
  const entries = header.u32(36)
  const perTable = clusterSize / (disk.extendedL2 ? 16 : 8)
  const needed = Math.ceil(virtualSize / (clusterSize * perTable))
  if (entries < needed)
    parsing.stop('TABLE_TOO_SMALL', {
      at: 36,
      found: `${entries} L1 entries`,
      expected: `at least ${needed} for a disk of ${virtualSize} bytes`,
    })
  if (entries * 8 > L1_LIMIT)
    parsing.stop('TABLE_TOO_LARGE', {
      at: 36,
      found: `${entries} L1 entries`,
      expected: `at most ${L1_LIMIT / 8}`,
    })
  return { entries, offset: checkPlace(header, parsing, 40, clusterSize, entries === 0) }
}

function checkRefcountTable(
  header: Fields,
  parsing: Parsing,
  clusterSize: number,
): { offset: number; clusters: number } {
  const clusters = header.u32(56)
  if (clusters === 0)
    parsing.stop('TABLE_TOO_SMALL', { at: 56, found: 'no refcount table', expected: 'one' })
  if (clusters * clusterSize > REFCOUNT_TABLE_LIMIT)
    parsing.stop('TABLE_TOO_LARGE', {
      at: 56,
      found: `a refcount table of ${clusters} clusters`,
      expected: `at most ${REFCOUNT_TABLE_LIMIT / clusterSize}`,
    })
  return { clusters, offset: checkPlace(header, parsing, 48, clusterSize, false) }
}

/** The offset of a table, which stands at a whole cluster, and not in the first one. */
function checkPlace(
  header: Fields,
  parsing: Parsing,
  at: number,
  clusterSize: number,
  isEmpty: boolean,
): number {
  const offset = header.size(at)
  if (offset % clusterSize !== 0)
    parsing.stop('MISALIGNED', {
      at,
      found: `a table at byte ${offset}`,
      expected: `a multiple of ${clusterSize}`,
    })
  if (offset === 0 && !isEmpty)
    parsing.stop('OUT_OF_RANGE', { at, found: 'a table at byte 0, where the header is' })
  return offset
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
