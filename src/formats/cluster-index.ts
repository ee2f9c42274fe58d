import type { DiskMap } from './disk-map.ts'

/** How the clusters of a store are compressed: raw deflate with a 12-bit window, or one zstd frame each. */
export type ClusterCodec = 'deflate' | 'zstd'

/**
 * Where each compressed cluster of a store stands. There is one cluster for each data unit of the
 * map, in the order of the guest's disk, payload after payload without gaps, so cluster `n` belongs to
 * unit `map.select(n)`. A cluster that does not shrink is kept as it is (`isStored`). The last unit
 * of a disk is padded with zeros to 64 KiB before it is compressed.
 */
export interface ClusterIndex {
  readonly codec: ClusterCodec
  readonly level: number
  readonly map: DiskMap
  /** Clusters: `map.dataUnits`. */
  readonly count: number
  /** Bytes of all payloads. */
  readonly payloadSize: number
  /** Of the payload in the store's file; `offset(count)` is `payloadSize`. */
  offset(cluster: number): number
  length(cluster: number): number
  /** Whether the payload is the plain 64 KiB. */
  isStored(cluster: number): boolean
  /** CRC-32 (zlib's) and Adler-32 of the plain 64 KiB. */
  crc32(cluster: number): number
  adler32(cluster: number): number
  /** Hexadecimal SHA-256 over all of the above: part of the ETag of what is made of it. */
  readonly digest: string
}
