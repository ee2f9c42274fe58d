/** How one cluster is compressed, and a name for how: what threads do, and what ETags say of it. */
import { createHash } from 'node:crypto'
import { constants, deflateSync, zstdCompressSync } from 'node:zlib'
import { KiB } from '../base/units.ts'
import type { ClusterCodec } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

export interface Compression {
  readonly codec: ClusterCodec
  readonly level: number
}

export interface PackedCluster {
  readonly payload: Uint8Array
  /** zlib's form of deflate comes with the Adler-32 of the cluster, which is then free. */
  readonly adler: number
}

/** Memory that compressors put a cluster into; what they give at most is a little more than the cluster. */
const PACKED = UNIT + KiB
const ADLER = 4
const WINDOW_BITS = { deflate: 12, 'deflate-wide': 15 } as const
const ZLIB_HEAD = 2

/** Compresses a cluster, whether it shrinks or not. */
export function packCluster(cluster: Uint8Array, { codec, level }: Compression): PackedCluster {
  return codec === 'zstd' ? zstd(cluster, level) : deflate(cluster, level, WINDOW_BITS[codec])
}

/**
 * Frees the memory a compressor gave, now: left to the collector, which sees only how small the objects
 * around it are, it would be 64 MiB in each thread.
 */
export function freeCluster({ payload: { buffer } }: PackedCluster): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === PACKED) buffer.transfer(0)
}

/**
 * Names what compressing gives: hexadecimal SHA-256. Where it is the same, the same disk gives the same
 * clusters, so it can be told before there are any. Releases of the compressors count, and what they
 * make of a sample, since the same release may choose other ways on another processor.
 */
export function editionOf(compression: Compression): string {
  const { zlib, zstd: zstdVersion } = process.versions
  const { codec, level } = compression
  return createHash('sha256')
    .update(JSON.stringify([codec, level, zlib, zstdVersion, process.arch]))
    .update(packCluster(sample(), compression).payload)
    .digest('hex')
}

/** A cluster of words, numbers and repetitions, near and far. */
function sample(): Uint8Array {
  let text = ''
  for (let line = 0; text.length < UNIT; line++)
    text += `${(line * 2_654_435_761) % 65_521} ${(line ** 3 % 9973).toString(36)} line ${line >> 3}\n`
  return Buffer.from(text).subarray(0, UNIT)
}

function deflate(cluster: Uint8Array, level: number, windowBits: number): PackedCluster {
  const stream = deflateSync(cluster, { level, windowBits, memLevel: 9, chunkSize: PACKED })
  const end = stream.length - ADLER
  return { payload: stream.subarray(ZLIB_HEAD, end), adler: stream.readUInt32BE(end) }
}

function zstd(cluster: Uint8Array, level: number): PackedCluster {
  const payload = zstdCompressSync(cluster, {
    pledgedSrcSize: cluster.length,
    chunkSize: PACKED,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  })
  return { payload, adler: 0 }
}
