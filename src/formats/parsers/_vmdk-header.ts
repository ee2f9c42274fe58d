import { KiB, MiB, SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'

const MAGIC = 'KDMV'
const VERSIONS = [1, 2, 3]
const FLAGS = { newlines: 1, redundant: 2, zeroGrains: 4, compressed: 0x10000, markers: 0x20000 }
const NEWLINES = '\n \r\n'
const DEFLATE = 1
/** The directory stands at the end, and a footer says where. */
export const AT_END = 2n ** 64n - 1n
/** Entries of a grain table, and its bytes. */
export const TABLE_ENTRIES = 512
export const TABLE_SIZE = TABLE_ENTRIES * 4
const GRAIN_SIZES = { least: 4 * KiB, most: MiB }
const MAX_DESCRIPTOR_SIZE = 64 * KiB
/** Of 64 KiB grains, it leads to 64 TiB. */
const MAX_DIRECTORY_SIZE = 8 * MiB

export interface VmdkHeader {
  readonly virtualSize: number
  readonly grainSize: number
  /** Grains of the disk; the last one may be short. */
  readonly grains: number
  /** Grain tables, which are the entries of a directory. */
  readonly tables: number
  readonly compressed: boolean
  /** A table entry of 1 is a grain of zeros, not sector 1. */
  readonly zeroGrains: boolean
  /** Where things stand in the file. */
  readonly descriptor: { readonly offset: number; readonly length: number }
  /** Undefined when a footer tells it. */
  readonly directory: number | undefined
  readonly redundantDirectory: number | undefined
  /** Where grains begin. */
  readonly overhead: number
}

/**
 * Checks a sparse header.
 *
 * | offset | size | field (little-endian; places and lengths in sectors)                     |
 * | ------ | ---- | ------------------------------------------------------------------------ |
 * | 0      | 4    | `KDMV`                                                                   |
 * | 4      | 4    | version, 1 to 3                                                          |
 * | 8      | 4    | flags: 1 newlines are told, 2 redundant directory, 4 grains of zeros, 0x10000 compressed, 0x20000 markers |
 * | 12     | 8    | size of the disk                                                         |
 * | 20     | 8    | size of a grain                                                          |
 * | 28, 36 | 8, 8 | descriptor: place and length                                             |
 * | 44     | 4    | entries of a grain table, 512                                            |
 * | 48, 56 | 8, 8 | redundant directory, directory (all ones: told at the end)               |
 * | 64     | 8    | where grains begin                                                       |
 * | 72     | 1    | not closed cleanly                                                       |
 * | 73     | 4    | newlines, to see whether somebody translated them                        |
 * | 77     | 2    | compression: 0 none, 1 deflate                                           |
 *
 * Source: VMware, Virtual Disk Format 5.0, "Hosted Sparse Extent Header".
 */
export function readVmdkHeader(parsing: Parsing, header: Fields): VmdkHeader {
  const at = (offset: number) => header.start + offset
  if (!header.holds(0, MAGIC))
    parsing.stop('HEADER_INVALID', {
      at: at(0),
      expected: MAGIC,
      found: JSON.stringify(header.chars(0, 4)),
    })
  if (!VERSIONS.includes(header.u32(4)))
    parsing.stop('FORMAT_VERSION', { at: at(4), expected: '1 to 3', found: `${header.u32(4)}` })
  const flags = readFlags(parsing, header)
  if (header.u8(72) !== 0) parsing.note('DIRTY', { at: at(72), found: 'it was not closed cleanly' })
  if (header.slice(79, SECTOR - 79).some((byte) => byte !== 0))
    parsing.note('ODD', { at: at(79), found: 'reserved bytes of the header are in use' })
  const descriptor = { offset: sectorsAt(header, 28), length: sectorsAt(header, 36) }
  if (descriptor.offset === 0 || descriptor.length === 0)
    parsing.stop('FORMAT_UNSUPPORTED', {
      at: at(28),
      expected: 'a descriptor in the file',
      found: 'none: it is a part of a disk that another file describes',
    })
  if (descriptor.length > MAX_DESCRIPTOR_SIZE)
    parsing.stop('TABLE_TOO_LARGE', {
      at: at(36),
      expected: `a descriptor of at most ${MAX_DESCRIPTOR_SIZE} bytes`,
      found: `${descriptor.length}`,
    })
  return { ...flags, ...readSizes(parsing, header), descriptor, ...readPlaces(header) }
}

function readFlags(parsing: Parsing, header: Fields): { compressed: boolean; zeroGrains: boolean } {
  const flags = header.u32(8)
  const at = header.start + 8
  const has = (flag: number) => (flags & flag) !== 0
  const known = Object.values(FLAGS).reduce((all, flag) => all | flag)
  const unknown = (flags & ~known) >>> 0
  if (unknown !== 0)
    parsing.note('UNKNOWN_FEATURE', { at, found: `flags 0x${unknown.toString(16)}` })
  const compressed = has(FLAGS.compressed)
  if (compressed !== has(FLAGS.markers))
    parsing.stop('FORMAT_UNSUPPORTED', {
      at,
      expected: 'compression and markers, or neither',
      found: `flags 0x${flags.toString(16)}`,
    })
  if (header.u32(4) === 3 && !compressed)
    parsing.note('UNKNOWN_FEATURE', {
      at: header.start + 4,
      expected: 'version 3 for compressed disks only',
      found: 'version 3, which means that changes are tracked',
    })
  if (has(FLAGS.newlines) && !header.holds(73, NEWLINES))
    parsing.note('HEADER_INVALID', {
      at: header.start + 73,
      expected: JSON.stringify(NEWLINES),
      found: JSON.stringify(header.chars(73, 4)),
    })
  const compression = header.u16(77)
  if (compression !== (compressed ? DEFLATE : 0))
    parsing.stop('UNKNOWN_FEATURE', { at: header.start + 77, found: `compression ${compression}` })
  return { compressed, zeroGrains: has(FLAGS.zeroGrains) }
}

function readSizes(
  parsing: Parsing,
  header: Fields,
): Pick<VmdkHeader, 'virtualSize' | 'grainSize' | 'grains' | 'tables'> {
  const at = (offset: number) => header.start + offset
  const virtualSize = sectorsAt(header, 12)
  if (virtualSize > parsing.limits.virtualSize)
    parsing.stop('SIZE_LIMIT', {
      at: at(12),
      expected: `at most ${parsing.limits.virtualSize} bytes`,
      found: `${virtualSize}`,
    })
  const grainSize = sectorsAt(header, 20)
  const { least, most } = GRAIN_SIZES
  if (grainSize < least || grainSize > most || (grainSize & (grainSize - 1)) !== 0)
    parsing.stop('OUT_OF_RANGE', {
      at: at(20),
      expected: `grains of ${least} to ${most} bytes, a power of two`,
      found: `${grainSize}`,
    })
  if (header.u32(44) !== TABLE_ENTRIES)
    parsing.stop('OUT_OF_RANGE', {
      at: at(44),
      expected: `tables of ${TABLE_ENTRIES} entries`,
      found: `${header.u32(44)}`,
    })
  const grains = Math.ceil(virtualSize / grainSize)
  const tables = Math.ceil(grains / TABLE_ENTRIES)
  if (tables * 4 > MAX_DIRECTORY_SIZE)
    parsing.stop('TABLE_TOO_LARGE', {
      at: at(12),
      expected: `a directory of at most ${MAX_DIRECTORY_SIZE} bytes`,
      found: `${tables * 4}`,
    })
  return { virtualSize, grainSize, grains, tables }
}

function readPlaces(
  header: Fields,
): Pick<VmdkHeader, 'directory' | 'redundantDirectory' | 'overhead'> {
  const directory = header.u64(56) === AT_END ? undefined : sectorsAt(header, 56)
  const isDouble = (header.u32(8) & FLAGS.redundant) !== 0
  const redundantDirectory = isDouble ? sectorsAt(header, 48) : undefined
  return { directory, redundantDirectory, overhead: sectorsAt(header, 64) }
}

/** A number of sectors in bytes. Fails with IMAGE_UNSAFE at more than can be counted. */
function sectorsAt(header: Fields, at: number): number {
  const bytes = header.size(at) * SECTOR
  if (!Number.isSafeInteger(bytes))
    throw header.fault('IMAGE_UNSAFE', at, `${header.u64(at)} sectors are more than any disk has`)
  return bytes
}
