import { Failure } from '../../base/failure.ts'
import { formatSize, SECTOR, TiB } from '../../base/units.ts'
import type { Content } from '../../bytes/piece.ts'
import { clustersOf } from '../_clusters-of.ts'
import { deflatedCluster, deflatedLength } from '../_deflate-stream.ts'
import { lazyContent, mergedContent, partOf, placedContent, Places } from '../_places.ts'
import { bytesContent, forDataUnits, joinedContent, roundUp, zerosContent } from '../_segments.ts'
import {
  AT_END,
  DESCRIPTOR_SECTORS,
  GRAIN_SECTORS,
  TABLE_ENTRIES,
  TABLE_SECTORS,
  vmdkDescriptor,
  vmdkHeader,
} from '../_vmdk-layout.ts'
import type { ClusterIndex } from '../cluster-index.ts'
import { type DiskMap, UNIT } from '../disk-map.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/** Header with newlines told, compressed grains, markers. */
const FLAGS = 0x30001
/** Tables name sectors with 32 bits. */
const MAX_LENGTH = 2 * TiB
/** Sectors before the first grain: header, descriptor, and room up to a whole grain. */
const HEAD_SECTORS = GRAIN_SECTORS
/** What the marker of a sector says that there follows. */
const MARKER = { table: 1, directory: 2, footer: 3 } as const

/** VMware's format for transport, compressed: what vSphere, VirtualBox and EC2 import, and OVAs hold. */
export const vmdkStream: ViewFormat = {
  name: 'vmdk-stream',
  summary: 'vSphere, EC2 import, OVA: streamOptimized VMDK, compressed',
  endings: ['vmdk'],
  mediaType: 'application/x-vmdk-disk',
  needs: 'deflate',
  version: 1,
  maxVirtualSize: 62 * TiB,
  make: (input) => {
    const content = contentOf(input)
    if (content.length <= MAX_LENGTH) return content
    throw new Failure(
      'VIEW_IMPOSSIBLE',
      `vmdk files end at ${formatSize(MAX_LENGTH)}; this one would have ${formatSize(content.length)}`,
      { details: { format: 'vmdk-stream', length: content.length } },
    )
  },
}

/** Head, for each table its grains and then itself, the directory of the tables, footer, end marker. */
function contentOf(input: ViewInput): Content {
  const { map } = input
  const clusters = clustersOf(input)
  const layout = layoutOf(clusters)
  const directory = directoryOf(layout)
  // In sectors; in front of everything but grains stands a marker of one sector.
  const directoryAt = HEAD_SECTORS + layout.groups.end / SECTOR + 1
  const header = (at: number | typeof AT_END) => headerOf(map.size / SECTOR, at)
  return mergedContent(
    joinedContent(
      bytesContent(header(AT_END)),
      bytesContent(descriptorOf(input)),
      zerosContent((HEAD_SECTORS - 1 - DESCRIPTOR_SECTORS) * SECTOR),
      placedContent(layout.groups, (group) => groupContent(group, clusters, layout)),
      bytesContent(marker(directory.length / SECTOR, MARKER.directory)),
      directory,
      bytesContent(marker(1, MARKER.footer)),
      bytesContent(header(directoryAt)),
      zerosContent(SECTOR),
    ),
  )
}

function headerOf(capacity: number, directory: number | typeof AT_END): Buffer {
  return vmdkHeader({
    version: 3,
    flags: FLAGS,
    capacity,
    redundantDirectory: 0,
    directory,
    overhead: HEAD_SECTORS,
    deflated: true,
  })
}

function descriptorOf({ map, identity }: ViewInput): Buffer {
  return vmdkDescriptor({
    createType: 'streamOptimized',
    capacity: map.size / SECTOR,
    identity,
  })
}

interface Layout {
  readonly map: DiskMap
  /** The disk in the reach of grain tables (32 MiB); those without data have no table. */
  readonly tables: DiskMap
  /** The grains as if nothing stood between them. */
  readonly grains: Places
  /** The grains of each table with the table behind them, from the end of the head on. */
  readonly groups: Places
}

function layoutOf(clusters: ClusterIndex): Layout {
  const { map, count } = clusters
  const tables = map.coarser(TABLE_ENTRIES * UNIT)
  const grains = new Places(count, (cluster) => grainLength(clusters, cluster))
  const layout = { map, tables, grains }
  const groups = new Places(tables.dataUnits, (group) => {
    const { start, end } = grainsOf(group, layout)
    return end - start + (1 + TABLE_SECTORS) * SECTOR
  })
  return { ...layout, groups }
}

/** The part of all grains that a table leads to, in bytes, and the first unit of the disk in its reach. */
function grainsOf(group: number, { map, tables, grains }: Omit<Layout, 'groups'>) {
  const firstUnit = tables.select(group) * TABLE_ENTRIES
  const endUnit = Math.min(firstUnit + TABLE_ENTRIES, map.units)
  return {
    firstUnit,
    start: grains.start(map.rank(firstUnit)),
    end: grains.start(map.rank(endUnit)),
  }
}

/** The grains of a table, and the table: the sector of each grain, 4 bytes each, 0 for none. */
function groupContent(group: number, clusters: ClusterIndex, layout: Layout): Content {
  const { map, grains, groups } = layout
  const { firstUnit, start, end } = grainsOf(group, layout)
  const all = placedContent(grains, (cluster) => grainContent(clusters, cluster))
  const table = lazyContent(TABLE_SECTORS * SECTOR, () => {
    const bytes = Buffer.alloc(TABLE_SECTORS * SECTOR)
    const shift = HEAD_SECTORS * SECTOR + groups.start(group) - start
    forDataUnits(map, firstUnit, firstUnit + TABLE_ENTRIES, (unit, rank) =>
      bytes.writeUInt32LE((shift + grains.start(rank)) / SECTOR, (unit - firstUnit) * 4),
    )
    return bytes
  })
  return joinedContent(
    partOf(all, start, end - start),
    bytesContent(marker(TABLE_SECTORS, MARKER.table)),
    table,
  )
}

/** The sector of each grain table, 4 bytes each, 0 where there is none. */
function directoryOf({ tables, groups }: Layout): Content {
  const size = roundUp(Math.max(tables.units, 1) * 4, SECTOR)
  return lazyContent(size, () => {
    const bytes = Buffer.alloc(size)
    forDataUnits(tables, 0, tables.units, (table, group) => {
      const at = HEAD_SECTORS + groups.start(group + 1) / SECTOR - TABLE_SECTORS
      bytes.writeUInt32LE(at, table * 4)
    })
    return bytes
  })
}

/** Compression with a window of 12 bits, and what makes the two bytes a multiple of 31. */
const ZLIB_HEAD = 0x480d
const GRAIN_HEAD = 12 + 2
const ADLER = 4

function grainLength(clusters: ClusterIndex, cluster: number): number {
  return roundUp(GRAIN_HEAD + deflatedLength(clusters, cluster) + ADLER, SECTOR)
}

/**
 * A grain. Little-endian, but for zlib's own fields.
 * Source: VMware, Virtual Disk Format 5.0; RFC 1950.
 *
 * | offset | size | field                                          |
 * | ------ | ---- | ---------------------------------------------- |
 * | 0      | 8    | sector of the disk                             |
 * | 8      | 4    | n: bytes of what follows, without the padding  |
 * | 12     | n    | zlib: 48 0d, a deflate stream, Adler-32        |
 * |        |      | zeros up to a whole sector                     |
 */
function grainContent(clusters: ClusterIndex, cluster: number): Content {
  const stream = deflatedCluster(clusters, cluster)
  const head = Buffer.alloc(GRAIN_HEAD)
  head.writeBigUInt64LE(BigInt(clusters.map.select(cluster) * GRAIN_SECTORS), 0)
  head.writeUInt32LE(GRAIN_HEAD - 12 + stream.length + ADLER, 8)
  head.writeUInt16BE(ZLIB_HEAD, 12)
  const end = Buffer.alloc(grainLength(clusters, cluster) - head.length - stream.length)
  end.writeUInt32BE(clusters.adler32(cluster), 0)
  return joinedContent(bytesContent(head), stream, bytesContent(end))
}

/** The sector that says what follows: how many sectors (8 bytes), 0 (4 bytes), of which kind (4). */
function marker(sectors: number, kind: number): Buffer {
  const bytes = Buffer.alloc(SECTOR)
  bytes.writeBigUInt64LE(BigInt(sectors), 0)
  bytes.writeUInt32LE(kind, 12)
  return bytes
}
