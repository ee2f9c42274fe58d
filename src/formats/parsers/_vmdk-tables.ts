import { hash } from 'node:crypto'
import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import { type Asking, MAX_ASK, type Parsing } from '../parser.ts'
import { PlaceList } from './_place-list.ts'
import { readVmdkFooter } from './_vmdk-footer.ts'
import { TABLE_ENTRIES, TABLE_SIZE, type VmdkHeader } from './_vmdk-header.ts'

/** Bytes of a digest that are kept, for each table. */
const DIGEST = 16

/** Where the header or the footer says how a copy of the directory is found. */
interface Copy {
  readonly offset: number
  readonly from: number
  readonly name: string
}

/** A header, and its bytes, which a footer must repeat. */
export interface VmdkHeaders {
  readonly header: VmdkHeader
  readonly head: Fields
}

/**
 * Goes through the grain tables and, if there are redundant ones, compares them: programs differ in
 * which they read. The copy that comes first in the file is the one that is gone through, and one that
 * a footer tells of is the second: so the grains of a stream need not wait for its end. `use` gets
 * each entry that leads to a grain: its number, its sector, and the byte of the file where it stands;
 * `onWait` is told before the end of the file is waited for.
 * Gives the byte where the footer begins, if there is one.
 *
 * A directory is 4 bytes for each table, its sector, or 0 if there is none; a table 4 bytes for each
 * of 512 grains: its sector, 0 for none, 1 (where the header says so) for one of zeros.
 */
export function* readGrainTables(
  parsing: Parsing,
  { header, head }: VmdkHeaders,
  use: (grain: number, sector: number, from: number) => void,
  onWait: () => void = () => {},
): Asking<number | undefined> {
  const copies: Copy[] = []
  if (header.directory !== undefined)
    copies.push({ offset: header.directory, from: 56, name: 'grain directory' })
  const isDouble = header.redundantDirectory !== undefined
  if (header.redundantDirectory !== undefined)
    copies.push({ offset: header.redundantDirectory, from: 48, name: 'redundant grain directory' })
  copies.sort((a, b) => a.offset - b.offset)
  let footerAt: number | undefined
  const nextCopy = function* (): Asking<Copy> {
    const copy = copies.shift()
    if (copy) return copy
    onWait()
    const { start, directory, from } = yield* readVmdkFooter(parsing, head)
    footerAt = start
    return { offset: directory, from, name: 'grain directory' }
  }
  const digests = Buffer.alloc(isDouble ? header.tables * DIGEST : 0)
  const digestOf = (table: number) => digests.subarray(table * DIGEST, (table + 1) * DIGEST)
  yield* readTables(parsing, header, yield* nextCopy(), (table, fields) => {
    if (isDouble) digestOf(table).set(digest(fields))
    readEntries(parsing, header, { table, fields, use })
  })
  if (!isDouble) return footerAt
  const second = yield* nextCopy()
  yield* readTables(parsing, header, second, (table, fields) => {
    if (!digestOf(table).equals(digest(fields))) noteDifference(parsing, fields.start, table)
    digestOf(table).fill(0)
  })
  const missing = digests.findIndex((byte) => byte !== 0)
  if (missing >= 0) noteDifference(parsing, second.from, Math.floor(missing / DIGEST))
  return footerAt
}

function digest({ bytes }: Fields): Uint8Array {
  return hash('sha256', bytes, 'buffer').subarray(0, DIGEST)
}

function noteDifference(parsing: Parsing, at: number, table: number): void {
  parsing.note('COPIES_DIFFER', {
    at,
    expected: `grain table ${table} as in the other copy`,
    found: 'another one',
  })
}

/** Reads a directory and, in the order of the file, its tables: those that follow each other at once. */
function* readTables(
  parsing: Parsing,
  header: VmdkHeader,
  copy: Copy,
  use: (table: number, fields: Fields) => void,
): Asking<void> {
  const places = yield* readDirectory(parsing, header, copy)
  let tables: number[] = []
  let [start, end] = [0, 0]
  for (const { sector, index } of places.byPlace()) {
    const at = sector * SECTOR
    if (!parsing.claim(at, TABLE_SIZE, 'grain table', copy.offset + index * 4)) continue
    if (at !== end || end - start === MAX_ASK) {
      yield* readRun(start, tables, use)
      tables = []
      start = at
    }
    tables.push(index)
    end = at + TABLE_SIZE
  }
  yield* readRun(start, tables, use)
}

function* readRun(
  at: number,
  tables: readonly number[],
  use: (table: number, fields: Fields) => void,
): Asking<void> {
  if (tables.length === 0) return
  const run = yield { at, length: tables.length * TABLE_SIZE, name: 'grain tables' }
  for (const [index, table] of tables.entries())
    use(table, run.part('grain table', index * TABLE_SIZE, TABLE_SIZE))
}

function* readDirectory(
  parsing: Parsing,
  { tables }: VmdkHeader,
  { offset, from, name }: Copy,
): Asking<PlaceList> {
  const places = new PlaceList()
  const length = tables * 4
  if (!parsing.claim(offset, Math.ceil(length / SECTOR) * SECTOR, name, from)) return places
  for (let done = 0; done < length; done += MAX_ASK) {
    const part = yield { at: offset + done, length: Math.min(MAX_ASK, length - done), name }
    const view = viewOf(part)
    for (let at = 0; at < view.byteLength; at += 4) {
      const sector = view.getUint32(at, true)
      if (sector !== 0) places.add(sector, (done + at) / 4)
    }
  }
  return places
}

function readEntries(
  parsing: Parsing,
  header: VmdkHeader,
  {
    table,
    fields,
    use,
  }: {
    readonly table: number
    readonly fields: Fields
    readonly use: (grain: number, sector: number, from: number) => void
  },
): void {
  const view = viewOf(fields)
  const none = header.zeroGrains ? 1 : 0
  const first = table * TABLE_ENTRIES
  for (let index = 0; index < TABLE_ENTRIES; index++) {
    const sector = view.getUint32(index * 4, true)
    if (sector <= none) continue
    const from = fields.start + index * 4
    const found = `grain ${first + index} in sector ${sector}`
    if (first + index >= header.grains)
      parsing.note('OUT_OF_RANGE', { at: from, expected: `${header.grains} grains`, found })
    else if (sector * SECTOR < header.overhead)
      parsing.note('OVERLAP', {
        at: from,
        expected: `no grain before byte ${header.overhead}, where the header lets them begin`,
        found,
      })
    else use(first + index, sector, from)
  }
}

export function viewOf({ bytes }: Fields): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
