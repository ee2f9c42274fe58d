/**
 * Where everything stands in a qcow2 file that we make, version 3 with clusters of 64 KiB: header,
 * refcount table, refcount blocks, L1 table, the L2 tables that are needed, then the data in the order
 * of the guest's disk. Views with plain and with compressed clusters differ only in their data, the
 * entries that lead to it, and its reference counts.
 */
import { KiB } from '../base/units.ts'
import type { Content } from '../bytes/piece.ts'
import { bytesContent, forDataUnits, joinedContent, tableContent } from './_segments.ts'
import type { DiskMap } from './disk-map.ts'

export const CLUSTER = 64 * KiB
const CLUSTER_BITS = 16
/** Entries of 8 bytes in a cluster, so units of the disk that one L2 table leads to. */
const ENTRIES = CLUSTER / 8
/** Reference counts of 16 bits in a cluster. */
const COUNTS = CLUSTER / 2
/** Bit 63 of an entry, in its upper half: nobody else refers to what it names. */
const COPIED = 0x80000000

export interface Qcow2Layout {
  readonly map: DiskMap
  /** The disk in the reach of L2 tables (512 MiB): one table for each that holds data. */
  readonly tables: DiskMap
  readonly l1Entries: number
  /** Offsets of the parts; they end where the next one starts. */
  readonly refcountTable: number
  readonly refcountBlocks: number
  readonly l1: number
  readonly l2: number
  readonly data: number
  /** Clusters of data, and of the whole file. */
  readonly dataClusters: number
  readonly clusters: number
}

/** The places of everything when `dataClusters` clusters of the file hold the data units of `map`. */
export function qcow2Layout(map: DiskMap, dataClusters: number): Qcow2Layout {
  const tables = map.coarser(ENTRIES * CLUSTER)
  const l1Clusters = Math.ceil(tables.units / ENTRIES)
  const rest = 1 + l1Clusters + tables.dataUnits + dataClusters
  // Counting the clusters takes clusters, which are counted too.
  let blocks = 0
  let tableClusters = 0
  for (let needed = rest; ; needed = rest + blocks + tableClusters) {
    const nextBlocks = Math.ceil(needed / COUNTS)
    const nextTable = Math.ceil(nextBlocks / ENTRIES)
    if (nextBlocks === blocks && nextTable === tableClusters) break
    blocks = nextBlocks
    tableClusters = nextTable
  }
  const refcountTable = CLUSTER
  const refcountBlocks = refcountTable + tableClusters * CLUSTER
  const l1 = refcountBlocks + blocks * CLUSTER
  const l2 = l1 + l1Clusters * CLUSTER
  const data = l2 + tables.dataUnits * CLUSTER
  const clusters = data / CLUSTER + dataClusters
  const l1Entries = tables.units
  return {
    map,
    tables,
    l1Entries,
    refcountTable,
    refcountBlocks,
    l1,
    l2,
    data,
    dataClusters,
    clusters,
  }
}

export interface Qcow2Parts {
  /** The `layout.dataClusters` clusters behind the tables. */
  readonly data: Content
  /** Writes the 8 bytes at `at` of an L2 table that lead to the data unit with `rank` before it. */
  readonly writeEntry: (table: Buffer, at: number, rank: number) => void
  /** How many entries refer to a cluster of the data. Left out: one. */
  readonly refcountOf?: (dataCluster: number) => number
  /** How compressed clusters are: zlib's way (which older readers expect) or zstd's. */
  readonly compression?: 'zlib' | 'zstd'
}

/** The whole file. */
export function qcow2Content(layout: Qcow2Layout, parts: Qcow2Parts): Content {
  return joinedContent(
    bytesContent(headerOf(layout, parts.compression ?? 'zlib')),
    refcountTableOf(layout),
    refcountBlocksOf(layout, parts.refcountOf),
    l1Of(layout),
    l2Of(layout, parts.writeEntry),
    parts.data,
  )
}

/** Writes an entry that leads to a plain cluster which nothing else refers to. Of L1, or of L2. */
export function writePlainEntry(table: Buffer, at: number, offset: number): void {
  table.writeUInt32BE(Math.floor(offset / 2 ** 32) + COPIED, at)
  table.writeUInt32BE(offset % 2 ** 32, at + 4)
}

/**
 * The header. Big-endian; what is not named is zero.
 * Source: QEMU, docs/interop/qcow2.txt.
 *
 * | offset | size | field                                             |
 * | ------ | ---- | ------------------------------------------------- |
 * | 0      | 4    | `QFI\xfb`                                         |
 * | 4      | 4    | version: 3                                        |
 * | 8      | 12   | no backing file                                   |
 * | 20     | 4    | bits of a cluster: 16                             |
 * | 24     | 8    | bytes of the guest's disk                         |
 * | 32     | 4    | not encrypted                                     |
 * | 36     | 4, 8 | entries and offset of the L1 table                |
 * | 48     | 8, 4 | offset and clusters of the refcount table         |
 * | 60     | 12   | no snapshots                                      |
 * | 72     | 8    | incompatible features; bit 3: compression is told |
 * | 80     | 16   | compatible and autoclear features: none           |
 * | 96     | 4    | refcount order: 4, which is 16 bits               |
 * | 100    | 4    | bytes of the header: 112                          |
 * | 104    | 1    | compression: 0 zlib, 1 zstd                       |
 * | 112    | 8    | end of the header extensions                      |
 */
function headerOf(layout: Qcow2Layout, compression: 'zlib' | 'zstd'): Buffer {
  const header = Buffer.alloc(CLUSTER)
  header.write('QFI\xfb', 0, 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeUInt32BE(CLUSTER_BITS, 20)
  header.writeBigUInt64BE(BigInt(layout.map.size), 24)
  header.writeUInt32BE(layout.l1Entries, 36)
  header.writeBigUInt64BE(BigInt(layout.l1), 40)
  header.writeBigUInt64BE(BigInt(layout.refcountTable), 48)
  header.writeUInt32BE((layout.refcountBlocks - layout.refcountTable) / CLUSTER, 56)
  header.writeUInt32BE(4, 96)
  header.writeUInt32BE(112, 100)
  if (compression === 'zstd') {
    header.writeUInt32BE(1 << 3, 76)
    header.writeUInt8(1, 104)
  }
  return header
}

/** Offsets of the refcount blocks, 8 bytes each. */
function refcountTableOf({ refcountTable, refcountBlocks, l1 }: Qcow2Layout): Content {
  const blocks = (l1 - refcountBlocks) / CLUSTER
  return tableContent(refcountBlocks - refcountTable, (start, size) => {
    const table = Buffer.alloc(size)
    for (let at = 0; at < size && (start + at) / 8 < blocks; at += 8)
      table.writeBigUInt64BE(BigInt(refcountBlocks + ((start + at) / 8) * CLUSTER), at)
    return table
  })
}

/** How many entries refer to each cluster of the file, 2 bytes each. */
function refcountBlocksOf(
  layout: Qcow2Layout,
  refcountOf: Qcow2Parts['refcountOf'] = () => 1,
): Content {
  const firstData = layout.data / CLUSTER
  return tableContent(layout.l1 - layout.refcountBlocks, (start, size) => {
    const block = Buffer.alloc(size)
    const first = start / 2
    const end = Math.min(first + COUNTS, layout.clusters)
    for (let cluster = first; cluster < end; cluster++) {
      const count = cluster < firstData ? 1 : refcountOf(cluster - firstData)
      block.writeUInt16BE(count, (cluster - first) * 2)
    }
    return block
  })
}

/** Offsets of the L2 tables, 8 bytes each, zero for parts of the disk that hold no data. */
function l1Of({ tables, l1, l2 }: Qcow2Layout): Content {
  return tableContent(l2 - l1, (start, size) => {
    const table = Buffer.alloc(size)
    const first = start / 8
    forDataUnits(tables, first, first + ENTRIES, (index, rank) =>
      writePlainEntry(table, (index - first) * 8, l2 + rank * CLUSTER),
    )
    return table
  })
}

/** Where the data units stand, 8 bytes each. */
function l2Of({ map, tables, l2, data }: Qcow2Layout, writeEntry: Qcow2Parts['writeEntry']) {
  return tableContent(data - l2, (start, size) => {
    const table = Buffer.alloc(size)
    const first = tables.select(start / CLUSTER) * ENTRIES
    forDataUnits(map, first, first + ENTRIES, (unit, rank) =>
      writeEntry(table, (unit - first) * 8, rank),
    )
    return table
  })
}
