import { Failure } from '../../base/failure.ts'
import { formatSize, KiB, SECTOR, TiB } from '../../base/units.ts'
import type { Content, Piece } from '../../bytes/piece.ts'
import { clustersOf } from '../_clusters-of.ts'
import { deflatedCluster, deflatedLength } from '../_deflate-stream.ts'
import { bytesPiece, lazyContent } from '../_pieces.ts'
import { Places } from '../_places.ts'
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
import { UNIT } from '../disk-map.ts'
import { type OrderedContent, wholeContent } from '../ordered-content.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/** Header with newlines told, compressed grains, markers. */
const FLAGS = 0x30001
/** Tables name sectors with 32 bits. */
const MAX_LENGTH = 2 * TiB
/** No grain takes more, with the table behind it and its part of all else. */
const LONGEST_PART = UNIT + 4 * KiB
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
  smallestOf: 'deflate-wide',
  version: 1,
  maxVirtualSize: 62 * TiB,
  make: (input) => {
    const content = wholeContent(orderOf(input))
    if (content.length <= MAX_LENGTH) return content
    throw new Failure(
      'VIEW_IMPOSSIBLE',
      `vmdk files end at ${formatSize(MAX_LENGTH)}; this one would have ${formatSize(content.length)}`,
      { details: { format: 'vmdk-stream', length: content.length } },
    )
  },
  order: (input) => (input.map.dataUnits * LONGEST_PART <= MAX_LENGTH ? orderOf(input) : undefined),
}

/** Head, for each table its grains and then itself, the directory of the tables, footer, end marker. */
function orderOf(input: ViewInput): OrderedContent {
  const capacity = input.map.size / SECTOR
  const layout = layoutOf(clustersOf(input))
  return {
    head: joinedContent(
      bytesContent(headerOf(capacity, AT_END)),
      bytesContent(descriptorOf(input)),
      zerosContent((HEAD_SECTORS - 1 - DESCRIPTOR_SECTORS) * SECTOR),
    ),
    parts: layout.places,
    partAt: (cluster) => partAt(cluster, layout),
    tail: () => tailOf(capacity, layout),
  }
}

/** In front of everything but grains stands a marker of one sector. */
function tailOf(capacity: number, layout: Layout): Content {
  const directory = directoryOf(layout)
  const directoryAt = HEAD_SECTORS + layout.places.end / SECTOR + 1
  return joinedContent(
    bytesContent(marker(directory.length / SECTOR, MARKER.directory)),
    directory,
    bytesContent(marker(1, MARKER.footer)),
    bytesContent(headerOf(capacity, directoryAt)),
    zerosContent(SECTOR),
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
  readonly clusters: ClusterIndex
  /** From the end of the head on: the grains, the last one of each table together with the table. */
  readonly places: Places
}

const TABLE_SIZE = TABLE_SECTORS * SECTOR
/** Bytes of a table and the marker before it. */
const TABLE_EXTRA = SECTOR + TABLE_SIZE

function layoutOf(clusters: ClusterIndex): Layout {
  const places = new Places(
    clusters.count,
    (cluster) => grainLength(clusters, cluster) + (endsTable(clusters, cluster) ? TABLE_EXTRA : 0),
  )
  return { clusters, places }
}

/** The grain table that a unit of the disk belongs to. */
function tableOf(unit: number): number {
  return Math.floor(unit / TABLE_ENTRIES)
}

/** Whether a cluster is the last one of its table. */
function endsTable({ map }: ClusterIndex, cluster: number): boolean {
  const unit = map.select(cluster)
  return map.next(unit + 1, true) >= Math.min((tableOf(unit) + 1) * TABLE_ENTRIES, map.units)
}

function partAt(cluster: number, layout: Layout): readonly Piece[] {
  const { clusters } = layout
  const grain = grainPieces(clusters, cluster)
  if (!endsTable(clusters, cluster)) return grain
  const table = grainTable(tableOf(clusters.map.select(cluster)), layout)
  return [...grain, bytesPiece(marker(TABLE_SECTORS, MARKER.table)), bytesPiece(table)]
}

/** The sector of each grain of a table, 4 bytes each, 0 for none. */
function grainTable(table: number, { clusters, places }: Layout): Buffer {
  const { map } = clusters
  const firstUnit = table * TABLE_ENTRIES
  const bytes = Buffer.alloc(TABLE_SIZE)
  let at = HEAD_SECTORS * SECTOR + places.start(map.rank(firstUnit))
  forDataUnits(map, firstUnit, firstUnit + TABLE_ENTRIES, (unit, cluster) => {
    bytes.writeUInt32LE(at / SECTOR, (unit - firstUnit) * 4)
    at += grainLength(clusters, cluster)
  })
  return bytes
}

/** The sector of each grain table, 4 bytes each, 0 for those of which the disk holds no data. */
function directoryOf({ clusters: { map }, places }: Layout): Content {
  const tables = map.coarser(TABLE_ENTRIES * UNIT)
  const size = roundUp(Math.max(tables.units, 1) * 4, SECTOR)
  return lazyContent(size, () => {
    const bytes = Buffer.alloc(size)
    forDataUnits(tables, 0, tables.units, (table) => {
      const end = places.start(map.rank(Math.min((table + 1) * TABLE_ENTRIES, map.units)))
      bytes.writeUInt32LE(HEAD_SECTORS + end / SECTOR - TABLE_SECTORS, table * 4)
    })
    return bytes
  })
}

/** The window's bits, and what makes the two bytes a multiple of 31. Source: RFC 1950, 2.2. */
const ZLIB_HEAD = 0x480d
const ZLIB_HEAD_WIDE = 0x7801
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
 * | 12     | n    | zlib: 2 bytes, a deflate stream, Adler-32      |
 * |        |      | zeros up to a whole sector                     |
 */
function grainPieces(clusters: ClusterIndex, cluster: number): readonly Piece[] {
  const length = deflatedLength(clusters, cluster)
  const head = Buffer.allocUnsafe(GRAIN_HEAD)
  head.writeUIntLE(clusters.map.select(cluster) * GRAIN_SECTORS, 0, 6)
  head.writeUInt16LE(0, 6)
  head.writeUInt32LE(GRAIN_HEAD - 12 + length + ADLER, 8)
  head.writeUInt16BE(clusters.codec === 'deflate-wide' ? ZLIB_HEAD_WIDE : ZLIB_HEAD, 12)
  const end = Buffer.allocUnsafe(grainLength(clusters, cluster) - GRAIN_HEAD - length).fill(0)
  end.writeUInt32BE(clusters.adler32(cluster), 0)
  return [bytesPiece(head), ...deflatedCluster(clusters, cluster), bytesPiece(end)]
}

/** The sector that says what follows: how many sectors (8 bytes), 0 (4 bytes), of which kind (4). */
function marker(sectors: number, kind: number): Buffer {
  const bytes = Buffer.alloc(SECTOR)
  bytes.writeBigUInt64LE(BigInt(sectors), 0)
  bytes.writeUInt32LE(kind, 12)
  return bytes
}
