import { KiB, MiB } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Asking, Parsing } from '../parser.ts'
import { guidAt } from './_guid.ts'
import { hasCheckSum } from './_vhdx-headers.ts'

const TABLE_SIZE = 64 * KiB
const PLACES = [192 * KiB, 256 * KiB]
const ENTRY_SIZE = 32
const MAX_ENTRIES = 2047
const BAT = '2dc27766-f623-4200-9d64-115e9bfd4a08'
const METADATA = '8b7ca206-4790-4b9a-b8fe-575f050f886e'

/** A part of the file. `from` is the entry that tells of it. */
export interface Region {
  readonly offset: number
  readonly length: number
  readonly from: number
}

/**
 * Checks the region table and its copy, and claims all regions, known and unknown.
 *
 * | offset | size | field (little-endian)                                |
 * | ------ | ---- | ---------------------------------------------------- |
 * | 0      | 4    | `regi`                                               |
 * | 4      | 4    | CRC-32C of the 64 KiB, this field taken as zero      |
 * | 8      | 4    | entries, at most 2047                                |
 * | 16     | 32   | entry: GUID (16), offset (8), length (4), bit 0: readers must know it (4) |
 *
 * Source: Microsoft, MS-VHDX, 2.2.3.
 */
export function* readVhdxRegions(
  parsing: Parsing,
): Asking<{ readonly bat: Region; readonly metadata: Region }> {
  const tables: Fields[] = []
  for (const at of PLACES) {
    const table = yield { at, length: TABLE_SIZE, name: 'region table' }
    if (!table.holds(0, 'regi'))
      parsing.stop('HEADER_INVALID', {
        at,
        expected: 'a region table (regi)',
        found: JSON.stringify(table.chars(0, 4)),
      })
    if (!hasCheckSum(table)) parsing.note('CHECKSUM', { at: at + 4, found: 'of the region table' })
    tables.push(table)
  }
  const [table, copy] = tables as [Fields, Fields]
  const difference = table.bytes.findIndex((byte, at) => at >= 8 && byte !== copy.bytes[at])
  if (difference >= 0)
    parsing.note('COPIES_DIFFER', {
      at: copy.start + difference,
      expected: `what stands at byte ${table.start + difference}`,
    })
  const known = readEntries(parsing, table)
  const regionOf = (guid: string, what: string): Region =>
    known.get(guid) ??
    parsing.stop('HEADER_INVALID', { at: table.start + 8, expected: `a region with ${what}` })
  return { bat: regionOf(BAT, 'the block table'), metadata: regionOf(METADATA, 'metadata') }
}

function readEntries(parsing: Parsing, table: Fields): Map<string, Region> {
  const count = table.u32(8)
  if (count > MAX_ENTRIES)
    parsing.stop('TABLE_TOO_LARGE', {
      at: table.start + 8,
      expected: `at most ${MAX_ENTRIES} regions`,
      found: `${count}`,
    })
  const known = new Map<string, Region>()
  for (let index = 0; index < count; index++) {
    const entry = table.part('region', 16 + index * ENTRY_SIZE, ENTRY_SIZE)
    const guid = guidAt(entry, 0)
    const flags = entry.u32(28)
    if (flags > 1)
      parsing.note('ENTRY_INVALID', {
        at: entry.start + 28,
        found: `flags 0x${flags.toString(16)}`,
      })
    const isKnown = guid === BAT || guid === METADATA
    if (!isKnown && (flags & 1) !== 0)
      parsing.note('UNKNOWN_FEATURE', {
        at: entry.start,
        found: `region ${guid}, which is required`,
      })
    if (known.has(guid))
      parsing.note('HEADER_INVALID', { at: entry.start, found: `region ${guid} a second time` })
    const region = { offset: entry.size(16), length: entry.u32(24), from: entry.start }
    if (claimRegion(parsing, region) && isKnown) known.set(guid, region)
  }
  return known
}

function claimRegion(parsing: Parsing, { offset, length, from }: Region): boolean {
  const aligned = offset % MiB === 0 && length % MiB === 0 && length > 0
  if (aligned) return parsing.claim(offset, length, 'region', from + 16)
  parsing.note('MISALIGNED', {
    at: from + 16,
    expected: 'a region of whole MiB, at a whole MiB',
    found: `${length} bytes at byte ${offset}`,
  })
  return false
}
