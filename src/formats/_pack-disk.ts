import { availableParallelism } from 'node:os'
import type { Context } from '../base/context.ts'
import { readInto, type Source } from '../bytes/source.ts'
import { type Batch, BATCH, type Packed } from './_cluster-thread.ts'
import { openClusterThreads } from './_cluster-threads.ts'
import type { Compression } from './_pack-cluster.ts'
import { type DiskMap, UNIT } from './disk-map.ts'

export interface PackOptions extends Compression {
  readonly disk: Source
  readonly map: DiskMap
  /** The first cluster that is wanted. */
  readonly from: number
  /** Default: one for each processor. */
  readonly threads?: number | undefined
  /** The threads give way to all others. Default false. */
  readonly yields?: boolean | undefined
}

/** Batches under way for each thread: one at work, one waiting, one on its way to the file. */
const AHEAD = 3

/**
 * The data of a disk from a cluster on, compressed, in the order of the disk; a bounded number of batches
 * is ahead. Tells progress as bytes of data, under the name `compress`.
 */
export async function* packDisk(
  options: PackOptions,
  { signal, progress }: Pick<Context, 'signal' | 'progress'>,
): AsyncGenerator<Packed> {
  const { disk, map, from, codec, level, yields = false } = options
  const left = map.dataUnits - from
  const count = Math.min(options.threads ?? availableParallelism(), Math.ceil(left / BATCH))
  const batches = batchesOf(map, from)
  await using threads = openClusterThreads(
    { codec, level, name: disk.name, file: disk.file, yields },
    count,
  )
  const underWay: Promise<Packed>[] = []
  const total = map.dataUnits * UNIT
  let done = from * UNIT
  for (;;) {
    while (underWay.length < count * AHEAD) {
      const { value: batch } = batches.next()
      if (batch === undefined) break
      const plain = disk.file === undefined ? await readPlain(disk, batch) : undefined
      underWay.push(threads.pack({ ...batch, plain }, signal))
    }
    const packed = await underWay.shift()
    if (packed === undefined) return
    done += packed.lengths.length * UNIT
    yield packed
    progress({ kind: 'bytes', name: 'compress', done, total })
  }
}

/** The data of the disk, from a cluster on, in batches of at most `BATCH` units. */
function* batchesOf(map: DiskMap, from: number): Generator<Batch, undefined> {
  const start = from < map.dataUnits ? map.select(from) * UNIT : map.size
  let extents: { offset: number; length: number }[] = []
  let room = BATCH * UNIT
  for (const extent of map.extents()) {
    const end = extent.offset + extent.length
    for (let offset = Math.max(extent.offset, start); offset < end;) {
      const length = Math.min(end - offset, room)
      extents.push({ offset, length })
      offset += length
      room -= length
      if (room > 0) continue
      yield { extents }
      extents = []
      room = BATCH * UNIT
    }
  }
  if (extents.length > 0) yield { extents }
  return undefined
}

/** The units of a batch, padded with zeros. */
async function readPlain(disk: Source, { extents }: Batch): Promise<Uint8Array> {
  const size = extents.reduce((sum, { length }) => sum + length, 0)
  const plain = Buffer.allocUnsafeSlow(Math.ceil(size / UNIT) * UNIT).fill(0, size)
  let filled = 0
  for (const { offset, length } of extents) {
    await readInto(disk, plain.subarray(filled, filled + length), offset)
    filled += length
  }
  return plain
}
