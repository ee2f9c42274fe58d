import { hash } from 'node:crypto'
import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'
import { TABLE_ENTRIES, TABLE_SIZE, type VmdkHeader } from './_vmdk-header.ts'

/** Tables that still get grains. Writers go through the disk in order, several at a time. */
const MAX_OPEN = 1024
/** Tables that are remembered, about 200 bytes each: a disk of 16 TiB that is nowhere empty. */
const MAX_TABLES = 512 * 1024
const NOTHING = digestOf(new Uint8Array(TABLE_SIZE))

/**
 * What the markers of a stream have told of its grains, to hold its tables and its directory against
 * it. Which part of the disk a table is about stands only in the directory, which comes last. So of
 * each table a digest is kept, and of the one that the grains themselves would give another.
 */
export class GrainRecord {
  readonly #parsing: Parsing
  readonly #zeroGrains: boolean
  /** By number of the table: what it must hold, while its grains come. */
  readonly #open = new Map<number, DataView>()
  /** The same, as a digest, when it holds all of them. */
  readonly #seen = new Map<number, string>()
  /** By sector: the tables that the stream holds. */
  readonly #tables = new Map<number, string>()

  constructor(parsing: Parsing, { zeroGrains }: VmdkHeader) {
    this.#parsing = parsing
    this.#zeroGrains = zeroGrains
  }

  /** The marker of this grain stands at byte `at`. */
  addGrain(grain: number, at: number): void {
    const index = Math.floor(grain / TABLE_ENTRIES)
    const table = this.#open.get(index) ?? this.#openTable(index, at)
    const place = (grain % TABLE_ENTRIES) * 4
    if (table.getUint32(place, true) !== 0)
      this.#parsing.note('ENTRY_INVALID', { at, found: `grain ${grain} a second time` })
    table.setUint32(place, at / SECTOR, true)
  }

  /** A table of the stream. */
  addTable(table: Fields): void {
    if (this.#tables.size === MAX_TABLES) this.#tooMany(table.start)
    const entries = Buffer.from(table.bytes)
    // What the table says is zeros, no marker tells of.
    if (this.#zeroGrains)
      for (let at = 0; at < TABLE_SIZE; at += 4)
        if (entries.readUInt32LE(at) === 1) entries.writeUInt32LE(0, at)
    this.#tables.set(table.start / SECTOR, digestOf(entries))
  }

  /** An entry of the directory, which stands at byte `at`: the table with this number is there. */
  checkEntry(index: number, sector: number, at: number): void {
    const seen = this.#digestOfSeen(index)
    const table = sector === 0 ? NOTHING : this.#tables.get(sector)
    if (table !== seen)
      this.#parsing.note('COPIES_DIFFER', {
        at,
        expected: `the table of the grains that the markers tell of`,
        found: table === undefined ? `no table in sector ${sector}` : 'another table',
      })
    if (sector !== 0) this.#tables.delete(sector)
  }

  /** The directory has ended, and must have listed every table once. */
  checkAllListed(at: number): void {
    if (this.#tables.size > 0)
      this.#parsing.note('COPIES_DIFFER', {
        at,
        expected: 'a directory with all tables of the stream',
        found: `${this.#tables.size} tables that it does not list`,
      })
  }

  #openTable(index: number, at: number): DataView {
    if (this.#seen.has(index))
      this.#parsing.stop('LIMIT_REACHED', { at, found: 'grains that are far out of order' })
    if (this.#open.size + this.#seen.size === MAX_TABLES) this.#tooMany(at)
    if (this.#open.size === MAX_OPEN) {
      const [first = index] = this.#open.keys()
      this.#seen.set(first, this.#digestOfSeen(first))
      this.#open.delete(first)
    }
    const table = new DataView(new ArrayBuffer(TABLE_SIZE))
    this.#open.set(index, table)
    return table
  }

  #digestOfSeen(index: number): string {
    const open = this.#open.get(index)
    if (open === undefined) return this.#seen.get(index) ?? NOTHING
    return digestOf(new Uint8Array(open.buffer))
  }

  #tooMany(at: number): never {
    this.#parsing.stop('LIMIT_REACHED', { at, found: `more than ${MAX_TABLES} grain tables` })
  }
}

/** Short, but long enough that nobody can make another table for it. */
function digestOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64').slice(0, 32)
}
