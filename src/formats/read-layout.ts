import { isFailure } from '../base/failure.ts'
import { SECTOR } from '../base/units.ts'
import { type Source, windowOf } from '../bytes/source.ts'
import type { DiskMap } from './disk-map.ts'
import { probeFileSystem } from './file-systems.ts'
import { type PartitionTable, readPartitions } from './partitions.ts'

/** What stands where on a disk. */
export interface DiskLayout {
  readonly map: DiskMap
  readonly table: PartitionTable['kind'] | 'damaged'
  /** Partitions and the gaps between them, in the order of the disk; of a disk without, one whole. */
  readonly parts: readonly LaidPart[]
  /** What was odd, one sentence each. */
  readonly notes: readonly string[]
}

export interface LaidPart {
  readonly kind: 'partition' | 'gap' | 'whole'
  /** Of a partition, as the kernel counts. */
  readonly number?: number
  readonly offset: number
  readonly length: number
  /** How many of its bytes may hold anything but zeros, in whole units of the map. */
  readonly data: number
  /** What it is formatted as; empty when by nothing known. */
  readonly type: string
  /** Of the partition, else of the file system; empty when there is none. */
  readonly label: string
}

/**
 * Reads partition table and file system magics of a disk. A damaged table is told, not thrown: the
 * disk can be drawn all the same.
 */
export async function readLayout(disk: Source, map: DiskMap): Promise<DiskLayout> {
  const { kind, partitions, notes } = await readTable(disk)
  const parts: LaidPart[] = []
  let end = 0
  const gapUntil = (offset: number) => {
    if (offset - end < SECTOR) return
    const data = dataIn(map, end, offset)
    parts.push({ kind: 'gap', offset: end, length: offset - end, data, type: '', label: '' })
  }
  for (const { number, offset, length, label } of partitions.toSorted(
    (a, b) => a.offset - b.offset,
  )) {
    gapUntil(offset)
    const found = await probeFileSystem(windowOf(disk, offset, length, `partition ${number}`))
    const named = { type: found?.type ?? '', label: plainText(label || (found?.label ?? '')) }
    parts.push({ kind: 'partition', number, offset, length, data: dataIn(map, offset, offset + length), ...named }) // prettier-ignore
    end = offset + length
  }
  if (parts.length > 0) gapUntil(disk.size)
  else {
    const { type = '', label = '' } = (await probeFileSystem(disk)) ?? {}
    const data = dataIn(map, 0, disk.size)
    parts.push({ kind: 'whole', offset: 0, length: disk.size, data, type, label: plainText(label) })
  }
  return { map, table: kind, parts, notes }
}

async function readTable(
  disk: Source,
): Promise<Omit<PartitionTable, 'kind'> & { kind: DiskLayout['table'] }> {
  try {
    return await readPartitions(disk)
  } catch (error) {
    if (!isFailure(error)) throw error
    return { kind: 'damaged', partitions: [], notes: [error.message] }
  }
}

/** How many of the bytes from `from` to `to` (within the disk) are of units that hold data. */
export function dataIn(map: DiskMap, from: number, to: number): number {
  if (from >= to) return 0
  const first = Math.floor(from / map.unit)
  const end = Math.ceil(to / map.unit)
  const whole = (map.rank(end) - map.rank(first)) * map.unit
  const before = map.has(first) ? from - first * map.unit : 0
  const behind = map.has(end - 1) ? end * map.unit - to : 0
  return whole - before - behind
}

/** A name from a disk as one that moves no cursor and breaks no page: control characters replaced. */
export function plainText(name: string): string {
  return name.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}')
}
