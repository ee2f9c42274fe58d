import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import { SECTOR } from '../base/units.ts'
import type { Partition } from './partitions.ts'

const PROTECTIVE = 0xee
const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85])
/** More logical partitions than any tool makes. */
const MAX_LOGICAL = 64

interface Entry {
  type: number
  start: number
  count: number
}

/**
 * The partitions of a master boot record; `protective` if it says that a GPT stands behind it;
 * undefined if it is none (a boot sector of a file system, say).
 *
 * | offset | size | field                                  |
 * | ------ | ---- | -------------------------------------- |
 * | 440    | 4    | disk signature                         |
 * | 446    | 64   | four entries                           |
 * | 510    | 2    | 55 aa                                  |
 *
 * Entry: 0 boot flag (00 or 80), 4 type, 8 first sector (u32), 12 sectors (u32).
 */
export async function readMbr(disk: Source): Promise<Partition[] | 'protective' | undefined> {
  const sector = new Fields(await disk.read(0, SECTOR), { name: `${disk.name}: MBR` })
  const entries = entriesOf(sector)
  if (entries === undefined || entries.every(({ type }) => type === 0)) return undefined
  if (entries.some(({ type }) => type === PROTECTIVE)) return 'protective'
  const signature = sector.u32(440).toString(16).padStart(8, '0')
  const partitions: Partition[] = []
  const add = (number: number, { type, start, count }: Entry) =>
    partitions.push({
      number,
      offset: start * SECTOR,
      length: count * SECTOR,
      type: `0x${type.toString(16).padStart(2, '0')}`,
      uuid: `${signature}-${number.toString(16).padStart(2, '0')}`,
      label: '',
    })
  for (const [index, entry] of entries.entries()) {
    if (entry.type === 0) continue
    if (entry.start === 0 || entry.count === 0)
      throw sector.fault('IMAGE_UNSAFE', 446 + 16 * index, `partition ${index + 1} is empty`)
    if (!EXTENDED.has(entry.type)) add(index + 1, entry)
  }
  for (const entry of entries)
    if (EXTENDED.has(entry.type))
      for (const logical of await readLogical(disk, entry.start))
        add(nextLogical(partitions), logical)
  return partitions
}

function nextLogical(partitions: readonly Partition[]): number {
  return Math.max(4, ...partitions.map(({ number }) => number)) + 1
}

/** The four entries, or undefined if this sector holds no table. */
function entriesOf(sector: Fields): Entry[] | undefined {
  if (sector.u16(510) !== 0xaa55) return undefined
  const at = [446, 462, 478, 494]
  if (at.some((entry) => (sector.u8(entry) & 0x7f) !== 0)) return undefined
  return at.map((entry) => ({
    type: sector.u8(entry + 4),
    start: sector.u32(entry + 8),
    count: sector.u32(entry + 12),
  }))
}

/**
 * Logical partitions: a chain of boot records, each with one partition (relative to itself) and
 * the place of the next record (relative to the extended partition).
 */
async function readLogical(disk: Source, extended: number): Promise<Entry[]> {
  const found: Entry[] = []
  const seen = new Set<number>()
  for (let at: number | undefined = extended; at !== undefined;) {
    const start = at * SECTOR
    const name = `${disk.name}: extended boot record`
    const sector = new Fields(await disk.read(start, SECTOR), { name, start })
    if (seen.has(at)) throw sector.fault('IMAGE_UNSAFE', 0, 'the chain comes back to this record')
    if (seen.size === MAX_LOGICAL)
      throw sector.fault('IMAGE_UNSAFE', 0, `more than ${MAX_LOGICAL} logical partitions`)
    seen.add(at)
    const entries = entriesOf(sector)
    if (entries === undefined) throw sector.fault('IMAGE_UNSAFE', 0, 'this is no boot record')
    const [own, next] = entries
    if (own && own.type !== 0 && own.count > 0) found.push({ ...own, start: at + own.start })
    at = next && EXTENDED.has(next.type) ? extended + next.start : undefined
  }
  return found
}
