/**
 * The thread behind `cluster-store.ts`: compresses batches of clusters, one after the other. It reads
 * them itself when the disk stands in an open file (descriptors belong to the whole process), so that
 * plain bytes need not travel between threads.
 */
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { constants, crc32, deflateSync, zstdCompressSync } from 'node:zlib'
import { Failure } from '../base/failure.ts'
import { type SentError, toSent } from '../base/sent-error.ts'
import { KiB } from '../base/units.ts'
import type { ClusterCodec, ClusterFacts } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

export interface ThreadData {
  readonly codec: ClusterCodec
  readonly level: number
  readonly name: string
  readonly file?: { readonly descriptor: number; readonly offset: number } | undefined
}

/** Data of the disk: up to `BATCH` units, and where they are. The last may be short. */
export interface Batch {
  readonly extents: readonly { readonly offset: number; readonly length: number }[]
  /** The units, when the thread cannot read them itself; padded with zeros. */
  readonly plain?: Uint8Array | undefined
}

export interface Packed extends ClusterFacts {
  /** The payloads, one after the other. */
  readonly payload: Uint8Array
}

export type Answer = { readonly packed: Packed } | { readonly error: SentError }

/** Units of a batch: enough work to make the way to the thread and back cheap. */
export const BATCH = 16
/** Memory that compressors put a cluster into; what they give at most is a little more than the cluster. */
const PACKED = UNIT + KiB
const ADLER = 4
const WINDOW_BITS = { deflate: 12, 'deflate-wide': 15 } as const
const ZLIB_HEAD = 2

/** Memory for a batch as it is read, and as it is compressed; used again and again. */
const input = Buffer.allocUnsafeSlow(BATCH * UNIT)
const output = Buffer.allocUnsafeSlow(BATCH * UNIT)

/** Compresses the units in `plain`. A cluster that does not shrink stays as it is. */
function pack(plain: Uint8Array, { codec, level }: ThreadData): Packed {
  const count = plain.length / UNIT
  const facts = {
    lengths: new Uint16Array(count),
    crcs: new Uint32Array(count),
    adlers: new Uint32Array(count),
  }
  let end = 0
  for (let index = 0; index < count; index++) {
    const cluster = plain.subarray(index * UNIT, (index + 1) * UNIT)
    const { payload, adler } =
      codec === 'zstd' ? zstd(cluster, level) : deflate(cluster, level, WINDOW_BITS[codec])
    const shrinks = payload.length < UNIT
    facts.lengths[index] = shrinks ? payload.length : 0
    facts.crcs[index] = crc32(cluster)
    facts.adlers[index] = adler
    output.set(shrinks ? payload : cluster, end)
    end += shrinks ? payload.length : UNIT
    giveBack(payload)
  }
  const payload = Buffer.allocUnsafeSlow(end)
  output.copy(payload, 0, 0, end)
  return { payload, ...facts }
}

interface Payload {
  readonly payload: Uint8Array
  readonly adler: number
}

/** zlib's form of deflate comes with the Adler-32 of the cluster, which is then free. */
function deflate(cluster: Uint8Array, level: number, windowBits: number): Payload {
  const stream = deflateSync(cluster, { level, windowBits, memLevel: 9, chunkSize: PACKED })
  const end = stream.length - ADLER
  return { payload: stream.subarray(ZLIB_HEAD, end), adler: stream.readUInt32BE(end) }
}

function zstd(cluster: Uint8Array, level: number): Payload {
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

/**
 * Frees the memory a compressor gave, now: left to the collector, which sees only how small the objects
 * around it are, it would be 64 MiB in each thread.
 */
function giveBack({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === PACKED) buffer.transfer(0)
}

/** The units of a batch, read from the open file. */
function readBatch({ extents }: Batch, { file, name }: ThreadData): Uint8Array {
  if (file === undefined) throw new TypeError('there is no open file to read from')
  let filled = 0
  for (const { offset, length } of extents)
    for (const end = filled + length; filled < end;) {
      const at = offset + length - (end - filled)
      const count = readSync(file.descriptor, input, filled, end - filled, file.offset + at)
      if (count === 0) throw new Failure('IMAGE_TRUNCATED', `${name} ends at byte ${at}`)
      filled += count
    }
  const end = Math.ceil(filled / UNIT) * UNIT
  input.fill(0, filled, end)
  return input.subarray(0, end)
}

function answer(batch: Batch, data: ThreadData): void {
  try {
    const packed = pack(batch.plain ?? readBatch(batch, data), data)
    parentPort?.postMessage({ packed } satisfies Answer, [packed.payload.buffer as ArrayBuffer])
  } catch (error) {
    parentPort?.postMessage({ error: toSent(error) } satisfies Answer)
  }
}

parentPort?.on('message', (batch: Batch) => answer(batch, workerData as ThreadData))
