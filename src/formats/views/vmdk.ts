import { Failure } from '../../base/failure.ts'
import { formatSize, SECTOR, TiB } from '../../base/units.ts'
import type { Content } from '../../bytes/piece.ts'
import {
  blocksContent,
  bytesContent,
  forDataUnits,
  joinedContent,
  roundUp,
  tableContent,
  zerosContent,
} from '../_segments.ts'
import {
  DESCRIPTOR_SECTORS,
  GRAIN_SECTORS,
  TABLE_ENTRIES,
  TABLE_SECTORS,
  vmdkDescriptor,
  vmdkHeader,
} from '../_vmdk-layout.ts'
import type { DiskMap } from '../disk-map.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/** Header, whose newlines are told and whose grain tables are there twice. */
const FLAGS = 3
/** Tables name sectors with 32 bits. */
const MAX_LENGTH = 2 * TiB

/** VMware's desktop format, which VirtualBox and QEMU know too: monolithicSparse, one file. */
export const vmdk: ViewFormat = {
  name: 'vmdk',
  summary: 'VMware Workstation, VirtualBox: monolithicSparse VMDK, grains of 64 KiB',
  endings: ['vmdk'],
  mediaType: 'application/x-vmdk-disk',
  needs: 'map',
  version: 1,
  maxVirtualSize: 62 * TiB,
  make: (input) => {
    const { map } = input
    const layout = layoutOf(map)
    const content = joinedContent(
      headOf(input, layout),
      tablesAt(layout.redundantDirectory, map, layout),
      tablesAt(layout.directory, map, layout),
      zerosContent(layout.padding * SECTOR),
      blocksContent(map, map),
    )
    if (content.length > MAX_LENGTH)
      throw new Failure(
        'VIEW_IMPOSSIBLE',
        `vmdk files end at ${formatSize(MAX_LENGTH)}; this one would have ${formatSize(content.length)}`,
        { details: { format: 'vmdk', length: content.length } },
      )
    return content
  },
}

/** Everything in sectors. */
interface Layout {
  readonly tables: number
  readonly directorySectors: number
  readonly redundantDirectory: number
  readonly directory: number
  readonly padding: number
  readonly grains: number
}

/** Descriptor, directory and tables, and both once more; grains start at a multiple of their size. */
function layoutOf(map: DiskMap): Layout {
  const tables = Math.ceil(map.units / TABLE_ENTRIES)
  const directorySectors = Math.ceil((tables * 4) / SECTOR)
  const redundantDirectory = 1 + DESCRIPTOR_SECTORS
  const directory = redundantDirectory + directorySectors + tables * TABLE_SECTORS
  const end = directory + directorySectors + tables * TABLE_SECTORS
  const grains = roundUp(end, GRAIN_SECTORS)
  return {
    tables,
    directorySectors,
    redundantDirectory,
    directory,
    padding: grains - end,
    grains,
  }
}

function headOf({ map, identity }: ViewInput, layout: Layout): Content {
  const capacity = map.size / SECTOR
  const { redundantDirectory, directory, grains } = layout
  return joinedContent(
    bytesContent(
      vmdkHeader({
        version: 1,
        flags: FLAGS,
        capacity,
        redundantDirectory,
        directory,
        overhead: grains,
        deflated: false,
      }),
    ),
    bytesContent(vmdkDescriptor({ createType: 'monolithicSparse', capacity, identity })),
  )
}

/** A grain directory, which stands at `sector`, and the grain tables it leads to. */
function tablesAt(sector: number, map: DiskMap, layout: Layout): Content {
  return joinedContent(directoryOf(sector, layout), grainTables(map, layout))
}

/** The sectors of the tables that follow the directory at `sector`, 4 bytes each. */
function directoryOf(sector: number, { tables, directorySectors }: Layout): Content {
  const firstTable = sector + directorySectors
  return tableContent(directorySectors * SECTOR, (start, size) => {
    const directory = Buffer.alloc(size)
    for (let at = 0; at < size && (start + at) / 4 < tables; at += 4)
      directory.writeUInt32LE(firstTable + ((start + at) / 4) * TABLE_SECTORS, at)
    return directory
  })
}

/** The sector of each grain, 4 bytes each, zero for those that are not there. */
function grainTables(map: DiskMap, { tables, grains }: Layout): Content {
  return tableContent(tables * TABLE_ENTRIES * 4, (start, size) => {
    const first = start / 4
    const end = first + size / 4
    if (map.next(first, true) >= end) return undefined
    const table = Buffer.alloc(size)
    forDataUnits(map, first, end, (unit, rank) =>
      table.writeUInt32LE(grains + rank * GRAIN_SECTORS, (unit - first) * 4),
    )
    return table
  })
}
