import { KiB, MiB } from '../../base/units.ts'
import { crc32c } from '../../bytes/crc32c.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Asking, Parsing } from '../parser.ts'

const HEADER_SIZE = 4 * KiB
const PLACES = [64 * KiB, 128 * KiB]
const VERSION = 1
const LOG_VERSION = 0

/**
 * Checks the two headers, of which the one with the higher sequence number is in force, and claims
 * the log. A log that waits to be replayed means that the tables of the file are not the truth yet.
 *
 * | offset | size | field (little-endian)                                                   |
 * | ------ | ---- | ----------------------------------------------------------------------- |
 * | 0      | 4    | `head`                                                                  |
 * | 4      | 4    | CRC-32C of the 4 KiB, this field taken as zero                          |
 * | 8      | 8    | sequence number                                                         |
 * | 16, 32 | 16   | identifiers of what was written last                                    |
 * | 48     | 16   | identifier of the log; zero if there is nothing to replay               |
 * | 64, 66 | 2, 2 | version of the log, 0; of the format, 1                                 |
 * | 68, 72 | 4, 8 | length and offset of the log, whole MiB                                 |
 *
 * Source: Microsoft, MS-VHDX, 2.2.2.
 */
export function* readVhdxHeaders(parsing: Parsing): Asking<void> {
  const headers: Fields[] = []
  for (const at of PLACES) headers.push(yield { at, length: HEADER_SIZE, name: 'header' })
  const header = current(parsing, headers)
  const at = (offset: number) => header.start + offset
  const version = header.u16(66)
  if (version !== VERSION)
    parsing.stop('FORMAT_VERSION', { at: at(66), expected: `${VERSION}`, found: `${version}` })
  if (header.u16(64) !== LOG_VERSION)
    parsing.stop('FORMAT_VERSION', {
      at: at(64),
      expected: `a log of version ${LOG_VERSION}`,
      found: `${header.u16(64)}`,
    })
  if (header.slice(48, 16).some((byte) => byte !== 0))
    parsing.stop('DIRTY', { at: at(48), found: 'a log that has not been replayed' })
  const length = header.u32(68)
  const offset = header.size(72)
  if (length === 0 || length % MiB !== 0 || offset % MiB !== 0)
    parsing.note('MISALIGNED', {
      at: at(68),
      expected: 'a log of whole MiB, at a whole MiB',
      found: `${length} bytes at byte ${offset}`,
    })
  else parsing.claim(offset, length, 'log', at(72))
}

/** Of two headers that are right, the later one; a single one that is right will do. */
function current(parsing: Parsing, headers: readonly Fields[]): Fields {
  const [first, second] = headers.filter((header) => isValid(parsing, header))
  if (first === undefined)
    parsing.stop('HEADER_INVALID', { at: PLACES[0] ?? 0, found: 'neither header is valid' })
  if (second === undefined) return first
  const [one, other] = [first.u64(8), second.u64(8)]
  if (one === other && Buffer.compare(first.bytes, second.bytes) !== 0)
    parsing.stop('COPIES_DIFFER', {
      at: second.start + 8,
      expected: 'sequence numbers that tell which header is the later one',
      found: `${other} in both`,
    })
  return other > one ? second : first
}

/** Tools go on with one header when a crash has torn the other. */
function isValid(parsing: Parsing, header: Fields): boolean {
  const valid = header.holds(0, 'head') && hasCheckSum(header)
  if (!valid)
    parsing.note('CHECKSUM', { at: header.start, severity: 'warn', found: 'no valid header' })
  return valid
}

/** Whether bytes 4 to 8 are the CRC-32C of the whole structure, themselves taken as zero. */
export function hasCheckSum(structure: Fields): boolean {
  const { bytes } = structure
  const start = crc32c(bytes.subarray(0, 4), 0xffffffff)
  const sum = crc32c(bytes.subarray(8), crc32c(new Uint8Array(4), start))
  return ~sum >>> 0 === structure.u32(4)
}
