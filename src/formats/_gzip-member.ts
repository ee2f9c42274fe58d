/**
 * Members of gzip files. A file may hold any number of them; what they give is put together.
 * Source: RFC 1952.
 */
import { crc32 } from 'node:zlib'
import { crc32OfZeros } from '../bytes/crc32.ts'
import type { Piece } from '../bytes/piece.ts'
import {
  deflatedCluster,
  deflatedLength,
  deflatedZeros,
  deflatedZerosLength,
  storedStream,
} from './_deflate-stream.ts'
import { bytesPiece } from './_pieces.ts'
import type { ClusterIndex } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

/** Magic, deflate, no flags, no time, no hint, system unknown. */
const HEAD = bytesPiece(Buffer.from('1f8b08000000000000ff', 'hex'))
/** Bytes of head and end. */
export const GZIP_EXTRA = 10 + 8

/** A member around a deflate stream that gives `size` bytes with that CRC-32. */
export function gzipMember(stream: readonly Piece[], size: number, crc: number): readonly Piece[] {
  const end = Buffer.allocUnsafe(8)
  end.writeUInt32LE(crc, 0)
  end.writeUInt32LE(size % 2 ** 32, 4)
  return [HEAD, ...stream, bytesPiece(end)]
}

/** The member that gives a cluster. */
export function gzipCluster(clusters: ClusterIndex, cluster: number): readonly Piece[] {
  return gzipMember(deflatedCluster(clusters, cluster), UNIT, clusters.crc32(cluster))
}

/** Bytes of `gzipCluster`. */
export function gzipClusterLength(clusters: ClusterIndex, cluster: number): number {
  return deflatedLength(clusters, cluster) + GZIP_EXTRA
}

/** The member that gives `length` zeros. */
export function gzipZeros(length: number): readonly Piece[] {
  return gzipMember(deflatedZeros(length), length, crc32OfZeros(length))
}

/** Bytes of `gzipZeros`. */
export function gzipZerosLength(length: number): number {
  return deflatedZerosLength(length) + GZIP_EXTRA
}

/** The member that gives bytes which are not worth compressing. */
export function gzipBytes(bytes: Uint8Array): readonly Piece[] {
  return gzipMember(storedStream(bytesPiece(bytes), bytes.length), bytes.length, crc32(bytes))
}
