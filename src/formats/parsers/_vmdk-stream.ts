import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import { type Asking, MAX_ASK, type Parsing } from '../parser.ts'
import { GrainRecord } from './_vmdk-record.ts'
import { compareFooter } from './_vmdk-footer.ts'
import { TABLE_SIZE, type VmdkHeader } from './_vmdk-header.ts'
import { GRAIN_MARKER, takeGrain } from './_vmdk-markers.ts'
import { viewOf } from './_vmdk-tables.ts'

/** Types of the markers that are not before a grain. */
const TYPES = { end: 0, table: 1, directory: 2, footer: 3 }

interface Marker {
  readonly at: number
  /** Sectors that follow it. */
  readonly sectors: number
}

/**
 * Walks through a compressed disk whose directory stands at the end: markers with grains, tables, the
 * directory, the footer, and the end. Who reads it as a stream goes by the markers, who can seek by
 * the footer, so every grain, every table and every entry of the directory is held against the others.
 *
 * A marker that is not before a grain fills a sector: how many sectors follow (8 bytes), zero (4),
 * the type (4).
 */
export function* readVmdkStream(parsing: Parsing, header: VmdkHeader, head: Fields): Asking<void> {
  const record = new GrainRecord(parsing, header)
  let directory: number | undefined
  for (let at = header.overhead; ;) {
    const fields = yield { at, length: GRAIN_MARKER, name: 'marker' }
    if (fields.u32(8) !== 0) {
      const { grain, end } = takeGrain(parsing, header, fields)
      if (directory !== undefined) unexpected(parsing, at, 'a grain')
      record.addGrain(grain, at)
      at = end
      continue
    }
    const type = yield { at: at + GRAIN_MARKER, length: 4, name: 'type of a marker' }
    const marker = { at, sectors: fields.size(0) }
    if (directory !== undefined) {
      expectType(parsing, type, TYPES.footer)
      return yield* readEnd(parsing, { head, marker, directory })
    }
    if (type.u32(0) === TYPES.directory) {
      yield* readDirectory(parsing, header, marker, record)
      directory = at + SECTOR
    } else {
      expectType(parsing, type, TYPES.table)
      claimMarked(parsing, marker, TABLE_SIZE / SECTOR, 'grain table')
      record.addTable(yield { at: at + SECTOR, length: TABLE_SIZE, name: 'grain table' })
    }
    at += (1 + marker.sectors) * SECTOR
  }
}

function* readDirectory(
  parsing: Parsing,
  { tables }: VmdkHeader,
  marker: Marker,
  record: GrainRecord,
): Asking<void> {
  const length = tables * 4
  claimMarked(parsing, marker, Math.ceil(length / SECTOR), 'grain directory')
  for (let done = 0; done < length; done += MAX_ASK) {
    const part = yield {
      at: marker.at + SECTOR + done,
      length: Math.min(MAX_ASK, length - done),
      name: 'grain directory',
    }
    const view = viewOf(part)
    for (let at = 0; at < view.byteLength; at += 4)
      record.checkEntry((done + at) / 4, view.getUint32(at, true), part.start + at)
  }
  record.checkAllListed(marker.at)
}

/** The footer, which is the header and says where the directory is; the end marker; and the end. */
function* readEnd(
  parsing: Parsing,
  { head, marker, directory }: { head: Fields; marker: Marker; directory: number },
): Asking<void> {
  claimMarked(parsing, marker, 1, 'footer')
  const footer = yield { at: marker.at + SECTOR, length: SECTOR, name: 'footer' }
  const said = compareFooter(parsing, head, footer)
  if (said !== directory)
    parsing.note('COPIES_DIFFER', {
      at: footer.start + 56,
      expected: `the directory at byte ${directory}, where its marker is`,
      found: said === undefined ? 'no place' : `byte ${said}`,
    })
  const at = footer.start + SECTOR
  parsing.claim(at, SECTOR, 'end marker', at)
  const last = yield { at, length: SECTOR, name: 'end marker' }
  if (last.bytes.some((byte) => byte !== 0)) unexpected(parsing, at, 'more after the footer')
  const tail = yield { at: -SECTOR, length: SECTOR, name: 'end of the file' }
  if (tail.start !== at)
    unexpected(parsing, at + SECTOR, 'more bytes, where others look for the footer')
}

/** Claims a marker and what follows it. */
function claimMarked(parsing: Parsing, marker: Marker, sectors: number, what: string): void {
  if (marker.sectors !== sectors)
    parsing.stop('OUT_OF_RANGE', {
      at: marker.at,
      expected: `a ${what} of ${sectors} sectors`,
      found: `${marker.sectors}`,
    })
  parsing.claim(marker.at, (1 + sectors) * SECTOR, what, marker.at)
}

function expectType(parsing: Parsing, type: Fields, expected: number): void {
  const found = type.u32(0)
  if (found === expected) return
  if (Object.values(TYPES).includes(found))
    unexpected(parsing, type.start, `a marker of type ${found} instead of ${expected}`)
  parsing.stop('UNKNOWN_FEATURE', { at: type.start, found: `a marker of type ${found}` })
}

function unexpected(parsing: Parsing, at: number, found: string): never {
  parsing.stop('COPIES_DIFFER', {
    at,
    expected: 'grains, tables, the directory, the footer and the end, in this order',
    found,
  })
}
