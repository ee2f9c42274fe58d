/**
 * The thread behind `cluster-store.ts`: compresses batches of clusters, one after the other. It reads
 * them itself when the disk stands in an open file (descriptors belong to the whole process), so that
 * plain bytes need not travel between threads.
 */
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { Failure } from '../base/failure.ts'
import { type SentError, toSent } from '../base/sent-error.ts'
import { giveWay } from '../base/thread-priority.ts'
import { type Compression, freeCluster, packCluster } from './_pack-cluster.ts'
import type { ClusterFacts } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

export interface ThreadData extends Compression {
  readonly name: string
  readonly file?: { readonly descriptor: number; readonly offset: number } | undefined
  /** Gives way to everything else that wants the processor. */
  readonly yields: boolean
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

/** Memory for a batch as it is read, and as it is compressed; used again and again. */
const input = Buffer.allocUnsafeSlow(BATCH * UNIT)
const output = Buffer.allocUnsafeSlow(BATCH * UNIT)

/** Compresses the units in `plain`. A cluster that does not shrink stays as it is. */
function pack(plain: Uint8Array, compression: Compression): Packed {
  const count = plain.length / UNIT
  const facts = {
    lengths: new Uint16Array(count),
    crcs: new Uint32Array(count),
    adlers: new Uint32Array(count),
  }
  let end = 0
  for (let index = 0; index < count; index++) {
    const cluster = plain.subarray(index * UNIT, (index + 1) * UNIT)
    const packed = packCluster(cluster, compression)
    const { payload, adler } = packed
    const shrinks = payload.length < UNIT
    facts.lengths[index] = shrinks ? payload.length : 0
    facts.crcs[index] = crc32(cluster)
    facts.adlers[index] = adler
    output.set(shrinks ? payload : cluster, end)
    end += shrinks ? payload.length : UNIT
    freeCluster(packed)
  }
  const payload = Buffer.allocUnsafeSlow(end)
  output.copy(payload, 0, 0, end)
  return { payload, ...facts }
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

/** Frees the memory of payloads now, rather than when the collector comes by. */
export function giveBack({ payload: { buffer } }: Packed): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

function answer(batch: Batch, data: ThreadData): void {
  try {
    const packed = pack(batch.plain ?? readBatch(batch, data), data)
    if (batch.plain?.buffer instanceof ArrayBuffer) batch.plain.buffer.transfer(0)
    parentPort?.postMessage({ packed } satisfies Answer, [packed.payload.buffer as ArrayBuffer])
  } catch (error) {
    parentPort?.postMessage({ error: toSent(error) } satisfies Answer)
  }
}

if (parentPort !== null) {
  const data = workerData as ThreadData
  if (data.yields) giveWay()
  parentPort.on('message', (batch: Batch) => answer(batch, data))
}
