import { GiB, SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'

export const COOKIE = 'conectix'
/** The format counts sectors in 32 bits and keeps the last few numbers for itself. */
export const MAX_VHD_SIZE = 2040 * GiB
const VERSION = 0x00010000
/** `temporary` may be set; the reserved bit must be. */
const FEATURES = { temporary: 1, reserved: 2 }
const TYPES: Readonly<Record<number, 'fixed' | 'dynamic' | 'differencing'>> = {
  2: 'fixed',
  3: 'dynamic',
  4: 'differencing',
}
const ABSENT = 2n ** 64n - 1n
/** What old tools wrote instead, as the specification says in one place. */
const ABSENT_32 = 2n ** 32n - 1n
/** Creators whose disks every reader takes to be as large as the footer says. */
const SIZED_BY_FOOTER = ['win ', 'qem2', 'd2v ', 'CTXS', 'tap\0']
/** At the largest geometry there is, readers take the size from the footer as well. */
const LARGEST_GEOMETRY = 65535 * 16 * 255

export interface VhdFooter {
  readonly type: 'fixed' | 'dynamic'
  /** Where the header of a dynamic disk stands. */
  readonly headerOffset: number
  /** Bytes of the guest's disk. */
  readonly size: number
}

/**
 * Checks a footer, wherever it stands (a dynamic disk has a copy at the start of the file).
 *
 * | offset | size | field (big-endian)                                                      |
 * | ------ | ---- | ----------------------------------------------------------------------- |
 * | 0      | 8    | `conectix`                                                              |
 * | 8      | 4    | features: 1 temporary, 2 reserved and always set                        |
 * | 12     | 4    | version, 1.0                                                            |
 * | 16     | 8    | offset of the dynamic header; all ones in a fixed disk                  |
 * | 24     | 4    | time of creation, seconds since 2000                                    |
 * | 28, 32 | 4, 4 | creator: application and its version                                    |
 * | 36     | 4    | creator: operating system                                               |
 * | 40, 48 | 8, 8 | size when created, and now                                              |
 * | 56     | 4    | geometry: cylinders (2), heads, sectors a track                         |
 * | 60     | 4    | type: 2 fixed, 3 dynamic, 4 differencing                                |
 * | 64     | 4    | check sum                                                               |
 * | 68     | 16   | identifier                                                              |
 * | 84     | 1    | whether a saved state of the machine belongs to it                      |
 * | 85     | 427  | reserved                                                                |
 *
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0; QEMU, block/vpc.c, for who
 * reads the size from where.
 */
export function readVhdFooter(parsing: Parsing, footer: Fields): VhdFooter {
  const at = (offset: number) => footer.start + offset
  if (!footer.holds(0, COOKIE))
    parsing.stop('HEADER_INVALID', {
      at: at(0),
      expected: `a footer (${COOKIE})`,
      found: JSON.stringify(footer.chars(0, 8)),
    })
  if (footer.u32(12) !== VERSION)
    parsing.stop('FORMAT_VERSION', {
      at: at(12),
      expected: hex(VERSION),
      found: hex(footer.u32(12)),
    })
  checkSum(parsing, footer, 64, 'footer')
  checkFeatures(parsing, footer)
  const type = readType(parsing, footer)
  if (footer.u8(84) !== 0)
    parsing.note('DIRTY', { at: at(84), found: 'a saved state of its machine belongs to it' })
  if (footer.bytes.subarray(85).some((byte) => byte !== 0))
    parsing.note('ODD', { at: at(85), found: 'reserved bytes of the footer are in use' })
  return {
    type,
    headerOffset: readHeaderOffset(parsing, footer, type),
    size: readSize(parsing, footer),
  }
}

/** Notes CHECKSUM unless the four bytes at `field` are the complement of the sum of all others. */
export function checkSum(parsing: Parsing, fields: Fields, field: number, what: string): void {
  let sum = 0
  for (const byte of fields.bytes) sum += byte
  for (const byte of fields.slice(field, 4)) sum -= byte
  const expected = ~sum >>> 0
  if (fields.u32(field) === expected) return
  parsing.note('CHECKSUM', {
    at: fields.start + field,
    expected: `${hex(expected)} over the ${what}`,
    found: hex(fields.u32(field)),
  })
}

/** Whether an offset that does not apply says so. */
export function isAbsent(offset: bigint): boolean {
  return offset === ABSENT || offset === ABSENT_32
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}

function checkFeatures(parsing: Parsing, footer: Fields): void {
  const features = footer.u32(8)
  const at = footer.start + 8
  const unknown = (features & ~(FEATURES.temporary | FEATURES.reserved)) >>> 0
  if (unknown !== 0) parsing.note('UNKNOWN_FEATURE', { at, found: `features ${hex(unknown)}` })
  if ((features & FEATURES.reserved) === 0)
    parsing.note('HEADER_INVALID', { at, expected: 'bit 1 set', found: hex(features) })
}

function readType(parsing: Parsing, footer: Fields): 'fixed' | 'dynamic' {
  const number = footer.u32(60)
  const type = TYPES[number]
  const at = footer.start + 60
  if (type === 'differencing') parsing.stop('PARENT', { at, found: 'a differencing disk (type 4)' })
  if (type === undefined)
    parsing.stop('HEADER_INVALID', {
      at,
      expected: 'type 2 (fixed) or 3 (dynamic)',
      found: `${number}`,
    })
  return type
}

function readHeaderOffset(parsing: Parsing, footer: Fields, type: 'fixed' | 'dynamic'): number {
  const at = footer.start + 16
  if (type === 'dynamic') {
    const offset = footer.size(16)
    if (offset % SECTOR !== 0)
      parsing.stop('MISALIGNED', { at, expected: 'a multiple of 512', found: `${offset}` })
    return offset
  }
  if (!isAbsent(footer.u64(16)))
    parsing.note('HEADER_INVALID', { at, expected: hex(ABSENT), found: hex(footer.u64(16)) })
  return 0
}

/**
 * The size that the footer says. Some readers would rather multiply the geometry, unless the creator
 * is one of those they know; where that gives another size, the guest would see another disk there.
 */
function readSize(parsing: Parsing, footer: Fields): number {
  const size = footer.size(48)
  const at = footer.start + 48
  const limit = Math.min(MAX_VHD_SIZE, parsing.limits.virtualSize)
  if (size > limit)
    parsing.stop('SIZE_LIMIT', { at, expected: `at most ${limit} bytes`, found: `${size}` })
  if (size % SECTOR !== 0)
    parsing.stop('HEADER_INVALID', { at, expected: 'whole sectors of 512 bytes', found: `${size}` })
  const sectors = footer.u16(56) * footer.u8(58) * footer.u8(59)
  const bySize = SIZED_BY_FOOTER.includes(footer.chars(28, 4)) || sectors === LARGEST_GEOMETRY
  if (!bySize && sectors * SECTOR !== size)
    parsing.note('SIZE_MISMATCH', {
      at,
      severity: 'warn',
      found: `${size} bytes, of which programs that go by the geometry see ${sectors * SECTOR}`,
    })
  return size
}
