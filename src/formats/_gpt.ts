import { crc32 } from 'node:zlib'
import { Failure, isFailure } from '../base/failure.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import type { Partition } from './partitions.ts'

/** Usual are 128; nobody needs more than this. */
const MAX_ENTRIES = 1024
const MAX_ENTRY_SIZE = 4096
const UNUSED = '00000000-0000-0000-0000-000000000000'

interface Gpt {
  partitions: Partition[]
  notes: string[]
}

/**
 * Partitions of a GUID partition table: of the one at the start, or if its check sums are wrong of
 * the backup at the end. Sectors of 512 and of 4096 bytes. Fails with IMAGE_UNREADABLE, IMAGE_UNSAFE.
 * Source: UEFI specification, 5.3.
 */
export async function readGpt(disk: Source): Promise<Gpt> {
  const reasons: Failure[] = []
  for (const at of ['start', 'end'] as const)
    for (const sectorSize of [512, 4096]) {
      const lastSector = Math.floor(disk.size / sectorSize) - 1
      try {
        const partitions = await readCopy(disk, at === 'start' ? 1 : lastSector, sectorSize)
        if (partitions === undefined) continue
        return { partitions, notes: at === 'end' ? [noteOf(reasons[0])] : [] }
      } catch (error) {
        if (!isFailure(error)) throw error
        reasons.push(error)
      }
    }
  const [reason] = reasons
  throw new Failure(
    'IMAGE_UNREADABLE',
    `${disk.name}: a partition table (GPT) should be here, but neither it nor its backup can be used${reason ? `: ${reason.message}` : ''}`,
    { cause: reason },
  )
}

function noteOf(reason: Failure | undefined): string {
  const state = reason === undefined ? 'missing' : `damaged (${reason.message})`
  return `the partition table at the start is ${state}; its backup at the end was used`
}

/**
 * One copy of the table, or undefined if there is none at this sector.
 *
 * | offset | size | field                                                     |
 * | ------ | ---- | --------------------------------------------------------- |
 * | 0      | 8    | `EFI PART`                                                |
 * | 12     | 4    | size of the header (92 or more)                           |
 * | 16     | 4    | CRC-32 of the header, with zeros here                     |
 * | 24     | 8    | its own sector                                            |
 * | 72     | 8    | first sector of the entries                               |
 * | 80     | 4    | number of entries                                         |
 * | 84     | 4    | size of an entry                                          |
 * | 88     | 4    | CRC-32 of the entries                                     |
 */
async function readCopy(
  disk: Source,
  sector: number,
  sectorSize: number,
): Promise<Partition[] | undefined> {
  const start = sector * sectorSize
  if (sector < 1 || start + sectorSize > disk.size) return undefined
  const name = `${disk.name}: GPT header`
  const header = new Fields(await disk.read(start, sectorSize), { name, start })
  if (header.text(0, 8) !== 'EFI PART') return undefined
  const headerSize = header.u32(12)
  if (headerSize < 92 || headerSize > sectorSize)
    throw header.fault('IMAGE_UNSAFE', 12, `a header of ${headerSize} bytes`)
  const plain = Buffer.from(header.slice(0, headerSize))
  plain.writeUInt32LE(0, 16)
  if (crc32(plain) !== header.u32(16)) throw header.fault('IMAGE_UNSAFE', 16, 'wrong check sum')
  if (header.u64(24) !== BigInt(sector))
    throw header.fault('IMAGE_UNSAFE', 24, `says it stands in sector ${header.u64(24)}`)
  const count = header.u32(80)
  const size = header.u32(84)
  if (count > MAX_ENTRIES) throw header.fault('IMAGE_UNSAFE', 80, `${count} entries`)
  if (size < 128 || size > MAX_ENTRY_SIZE || size % 8 !== 0)
    throw header.fault('IMAGE_UNSAFE', 84, `entries of ${size} bytes`)
  const entriesStart = header.size(72) * sectorSize
  const table = await disk.read(entriesStart, count * size)
  if (crc32(table) !== header.u32(88))
    throw header.fault('IMAGE_UNSAFE', 88, 'wrong check sum of the entries')
  const entries = new Fields(table, { name: `${disk.name}: GPT entries`, start: entriesStart })
  return Array.from({ length: count }, (_, index) => index)
    .map((index) =>
      toPartition(entries.part(`GPT entry ${index + 1}`, index * size, size), index, sectorSize),
    )
    .filter((partition) => partition !== undefined)
}

/** Entry: 0 type GUID, 16 own GUID, 32 first and 40 last sector (inclusive), 56 name (36 UTF-16). */
function toPartition(entry: Fields, index: number, sectorSize: number): Partition | undefined {
  const type = toGuid(entry, 0)
  if (type === UNUSED) return undefined
  const first = entry.size(32)
  const last = entry.size(40)
  if (last < first)
    throw entry.fault('IMAGE_UNSAFE', 40, `ends at ${last}, before its start ${first}`)
  return {
    number: index + 1,
    offset: first * sectorSize,
    length: (last - first + 1) * sectorSize,
    type,
    uuid: toGuid(entry, 16),
    label: entry.text(56, 72, 'utf16le'),
  }
}

/** The first three groups are little-endian, the others plain bytes. */
function toGuid(fields: Fields, at: number): string {
  const guid = Buffer.from(fields.slice(at, 16))
  for (const [from, to] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ])
    guid.subarray(from, to).reverse()
  return guid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
