import { SECTOR } from '../../base/units.ts'
import type { Content } from '../../bytes/piece.ts'
import { clustersOf } from '../_clusters-of.ts'
import { payloadPiece } from '../_pieces.ts'
import { placedContent, Places } from '../_places.ts'
import { CLUSTER, qcow2Content, qcow2Layout, writePlainEntry } from '../_qcow2-layout.ts'
import { joinedContent, roundUp, zerosContent } from '../_segments.ts'
import type { ClusterIndex } from '../cluster-index.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

const format = {
  endings: ['qcow2'],
  mediaType: 'application/x-qemu-disk',
  version: 1,
}

/** Compressed qcow2 that every QEMU reads. */
export const qcow2Zlib: ViewFormat = {
  ...format,
  name: 'qcow2-zlib',
  summary: 'qcow2 with clusters compressed by zlib',
  needs: 'deflate',
  make: (input) => compressedQcow2(input, 'zlib'),
}

/** Compressed qcow2 that unpacks faster and is smaller, for QEMU 5.1 and later. */
export const qcow2Zstd: ViewFormat = {
  ...format,
  name: 'qcow2-zstd',
  summary: 'qcow2 with clusters compressed by zstd (QEMU 5.1 and later)',
  needs: 'zstd',
  make: (input) => compressedQcow2(input, 'zstd'),
}

/**
 * Behind the tables come the clusters that do not shrink, which have to stand at whole clusters, and
 * then the payloads of all others without gaps; both in the order of the guest's disk.
 */
function compressedQcow2(input: ViewInput, compression: 'zlib' | 'zstd'): Content {
  const clusters = clustersOf(input)
  const stored = clusters.storedBefore(clusters.count)
  const packed = packedPlaces(clusters)
  const layout = qcow2Layout(input.map, stored + Math.ceil(packed.end / CLUSTER))
  const packedStart = layout.data + stored * CLUSTER
  const end = roundUp(packed.end, SECTOR)
  return qcow2Content(layout, {
    compression,
    data: joinedContent(
      storedClusters(clusters, stored),
      packedClusters(clusters, packed),
      zerosContent(end - packed.end),
    ),
    writeEntry: (table, at, cluster) =>
      clusters.isStored(cluster)
        ? writePlainEntry(table, at, layout.data + clusters.storedBefore(cluster) * CLUSTER)
        : writePackedEntry(
            table,
            at,
            packedStart + packed.start(cluster),
            clusters.length(cluster),
          ),
    refcountOf: (at) => (at < stored ? 1 : touching((at - stored) * CLUSTER, clusters, packed)),
  })
}

/** Where the payloads stand from the first one on; clusters that do not shrink take no place here. */
function packedPlaces(clusters: ClusterIndex): Places {
  return new Places(clusters.count, (cluster) =>
    clusters.isStored(cluster) ? 0 : clusters.length(cluster),
  )
}

function storedClusters(clusters: ClusterIndex, count: number): Content {
  return placedContent(new Places(count, () => CLUSTER), (rank) => [
    payloadPiece(clusters.offset(clusters.selectStored(rank)), CLUSTER),
  ])
}

function packedClusters(clusters: ClusterIndex, packed: Places): Content {
  return placedContent(packed, (cluster) =>
    clusters.isStored(cluster)
      ? []
      : [payloadPiece(clusters.offset(cluster), clusters.length(cluster))],
  )
}

/** Bit 62 of an entry, in its upper half. */
const COMPRESSED = 0x40000000
/** The count of sectors starts at bit 62 - (bits of a cluster - 8), here in the upper half. */
const SECTORS_SHIFT = 62 - 8 - 32

/** Writes an entry that leads to a payload: its offset, and how many more sectors it touches. */
function writePackedEntry(table: Buffer, at: number, offset: number, length: number): void {
  const more = Math.floor((offset + length - 1) / SECTOR) - Math.floor(offset / SECTOR)
  table.writeUInt32BE(COMPRESSED + more * 2 ** SECTORS_SHIFT + Math.floor(offset / 2 ** 32), at)
  table.writeUInt32BE(offset % 2 ** 32, at + 4)
}

/** How many payloads touch the cluster of the file that holds byte `from` of all payloads. */
function touching(from: number, clusters: ClusterIndex, packed: Places): number {
  const first = packed.find(from)
  const last = packed.find(Math.min(from + CLUSTER, packed.end) - 1)
  return last - first + 1 - (clusters.storedBefore(last) - clusters.storedBefore(first))
}
