import { KiB, MiB, TiB } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Asking, Parsing } from '../parser.ts'
import { guidAt } from './_guid.ts'
import type { Region } from './_vhdx-regions.ts'

const TABLE_SIZE = 64 * KiB
const ENTRY_SIZE = 32
const MAX_ENTRIES = 2047
const MAX_ITEM_SIZE = MiB
const MAX_DISK_SIZE = 64 * TiB
const FLAGS = { user: 1, virtualDisk: 2, required: 4 }
const PARAMETERS = { fixed: 1, hasParent: 2 }
const BLOCK_SIZES = { least: MiB, most: 256 * MiB }

/** The items that every file has, and their lengths. */
const ITEMS = {
  'caa16737-fa36-4d43-b3b6-33f0aa44e76b': { name: 'parameters', length: 8 },
  '2fa54224-cd1b-4876-b211-5dbed83bf4b8': { name: 'size', length: 8 },
  'beca12ab-b2e6-4523-93ef-c309e000c746': { name: 'identifier', length: 16 },
  '8141bf1d-a96f-4709-ba47-f233a8faab5f': { name: 'logicalSector', length: 4 },
  'cda348c7-445d-4471-9cc9-e9885251c556': { name: 'physicalSector', length: 4 },
} as const
const PARENT_LOCATOR = 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c'

type Item = (typeof ITEMS)[keyof typeof ITEMS]
type ItemName = Item['name']
type Items = ReadonlyMap<ItemName, Fields>

export interface VhdxGeometry {
  /** Bytes of the guest's disk. */
  readonly virtualSize: number
  readonly blockSize: number
  readonly logicalSector: number
}

interface Entry {
  readonly guid: string
  /** In the region. */
  readonly offset: number
  readonly length: number
  readonly flags: number
  readonly at: number
}

/**
 * Checks the metadata table and the items it leads to.
 *
 * | offset | size | field (little-endian)                                                    |
 * | ------ | ---- | ------------------------------------------------------------------------ |
 * | 0      | 8    | `metadata`                                                               |
 * | 10     | 2    | entries, at most 2047                                                    |
 * | 32     | 32   | entry: GUID (16), offset in the region (4), length (4), flags (4)        |
 *
 * Flags of an entry: 1 a user's, 2 about the virtual disk, 4 readers must know it. Items: parameters
 * are the block size and flags (1 fixed, 2 has a parent), 4 bytes each; the others are one number or
 * GUID.
 *
 * Source: Microsoft, MS-VHDX, 2.6.
 */
export function* readVhdxMetadata(parsing: Parsing, region: Region): Asking<VhdxGeometry> {
  const table = yield { at: region.offset, length: TABLE_SIZE, name: 'metadata table' }
  if (!table.holds(0, 'metadata'))
    parsing.stop('HEADER_INVALID', {
      at: table.start,
      expected: 'a metadata table (metadata)',
      found: JSON.stringify(table.chars(0, 8)),
    })
  const entries = readEntries(parsing, table, region)
  const items = new Map<ItemName, Fields>()
  for (const entry of entries) {
    const item = itemOf(parsing, entry)
    if (item === undefined) continue
    if (items.has(item.name))
      parsing.stop('ENTRY_INVALID', { at: entry.at, found: `item ${item.name} a second time` })
    items.set(
      item.name,
      yield {
        at: region.offset + entry.offset,
        length: item.length,
        name: item.name,
      },
    )
  }
  return readItems(parsing, items, table.start)
}

function readEntries(parsing: Parsing, table: Fields, region: Region): Entry[] {
  const count = table.u16(10)
  if (count > MAX_ENTRIES)
    parsing.stop('TABLE_TOO_LARGE', {
      at: table.start + 10,
      expected: `at most ${MAX_ENTRIES} items`,
      found: `${count}`,
    })
  const entries = Array.from({ length: count }, (_, index) => {
    const fields = table.part('item', 32 + index * ENTRY_SIZE, ENTRY_SIZE)
    const entry = {
      guid: guidAt(fields, 0),
      offset: fields.u32(16),
      length: fields.u32(20),
      flags: fields.u32(24),
      at: fields.start,
    }
    checkPlace(parsing, entry, region)
    return entry
  })
  const placed = entries.filter(({ length }) => length > 0).sort((a, b) => a.offset - b.offset)
  for (const [index, { offset, at }] of placed.entries()) {
    const before = placed[index - 1]
    if (before && before.offset + before.length > offset)
      parsing.note('OVERLAP', { at: at + 16, found: 'two items in the same bytes' })
  }
  return entries
}

/** Items stand behind the table. One without bytes stands nowhere. */
function checkPlace(parsing: Parsing, { offset, length, at }: Entry, region: Region): void {
  const inside = offset >= TABLE_SIZE && offset + length <= region.length && length <= MAX_ITEM_SIZE
  if (inside || (length === 0 && offset === 0)) return
  parsing.stop('OUT_OF_RANGE', {
    at: at + 16,
    expected: `an item between bytes ${TABLE_SIZE} and ${region.length} of the region`,
    found: `${length} bytes at ${offset}`,
  })
}

/** The item an entry is about, if it is one of those that are read. */
function itemOf(parsing: Parsing, { guid, length, flags, at }: Entry): Item | undefined {
  if (flags > (FLAGS.user | FLAGS.virtualDisk | FLAGS.required))
    parsing.note('ENTRY_INVALID', { at: at + 24, found: `flags 0x${flags.toString(16)}` })
  if (guid === PARENT_LOCATOR) parsing.stop('PARENT', { at, found: 'the locator of a parent' })
  const item = Object.hasOwn(ITEMS, guid) ? ITEMS[guid as keyof typeof ITEMS] : undefined
  if (item === undefined) {
    if ((flags & FLAGS.required) !== 0)
      parsing.note('UNKNOWN_FEATURE', { at, found: `item ${guid}, which is required` })
    return undefined
  }
  if (length !== item.length || (flags & FLAGS.user) !== 0)
    parsing.stop('ENTRY_INVALID', {
      at: at + 20,
      expected: `the system's item ${item.name} of ${item.length} bytes`,
      found: `${length} bytes with flags ${flags}`,
    })
  return item
}

function readItems(parsing: Parsing, items: Items, from: number): VhdxGeometry {
  const itemAt = (name: ItemName): Fields =>
    items.get(name) ?? parsing.stop('HEADER_INVALID', { at: from, expected: `an item ${name}` })
  const blockSize = readParameters(parsing, itemAt('parameters'))
  const sectorAt = (fields: Fields): number => {
    const size = fields.u32(0)
    if (size !== 512 && size !== 4096)
      parsing.stop('OUT_OF_RANGE', {
        at: fields.start,
        expected: 'sectors of 512 or 4096 bytes',
        found: `${size}`,
      })
    return size
  }
  const logicalSector = sectorAt(itemAt('logicalSector'))
  sectorAt(itemAt('physicalSector'))
  itemAt('identifier')
  return { blockSize, logicalSector, virtualSize: readSize(parsing, itemAt('size'), logicalSector) }
}

function readParameters(parsing: Parsing, parameters: Fields): number {
  const flags = parameters.u32(4)
  const at = parameters.start + 4
  if ((flags & PARAMETERS.hasParent) !== 0)
    parsing.stop('PARENT', { at, found: 'a flag that says it has one' })
  if ((flags & ~PARAMETERS.fixed) !== 0)
    parsing.note('UNKNOWN_FEATURE', { at, found: `parameters 0x${flags.toString(16)}` })
  const blockSize = parameters.u32(0)
  const { least, most } = BLOCK_SIZES
  if (blockSize < least || blockSize > most || (blockSize & (blockSize - 1)) !== 0)
    parsing.stop('OUT_OF_RANGE', {
      at: parameters.start,
      expected: `blocks of ${least} to ${most} bytes, a power of two`,
      found: `${blockSize}`,
    })
  return blockSize
}

function readSize(parsing: Parsing, item: Fields, sector: number): number {
  const size = item.size(0)
  const limit = Math.min(MAX_DISK_SIZE, parsing.limits.virtualSize)
  if (size > limit)
    parsing.stop('SIZE_LIMIT', {
      at: item.start,
      expected: `at most ${limit} bytes`,
      found: `${size}`,
    })
  if (size % sector !== 0)
    parsing.stop('HEADER_INVALID', {
      at: item.start,
      expected: `whole sectors of ${sector} bytes`,
      found: `${size}`,
    })
  return size
}
