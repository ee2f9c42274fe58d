/**
 * The cluster store of an image: each unit of the disk that holds data, compressed once. All compressed
 * formats are views over it, so the second one costs nothing. It can be dropped and made again at any
 * time. One file: the payloads from byte 0 on, without gaps; the index (`cluster-index.ts`); and at the
 * very end 48 bytes, little-endian:
 *
 * | offset | size | field                             |
 * | ------ | ---- | --------------------------------- |
 * | 0      | 8    | where the index starts            |
 * | 8      | 32   | SHA-256 of the index              |
 * | 40     | 8    | `IngotEnd`                        |
 */
import type { FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { GiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { openFileSource, readInto, type Source, windowOf } from '../bytes/source.ts'
import { writeWholeFile } from '../bytes/whole-file.ts'
import { type Batch, BATCH, type Packed } from './_cluster-thread.ts'
import { openClusterThreads } from './_cluster-threads.ts'
import {
  type ClusterCodec,
  type ClusterIndex,
  ClusterIndexBuilder,
  parseClusterIndex,
} from './cluster-index.ts'
import { type DiskMap, UNIT } from './disk-map.ts'

const END = 48
const END_MAGIC = 'IngotEnd'
/** More than the index of any disk that fits into memory's limits: 10 bytes for each 64 KiB. */
const INDEX_LIMIT = 2 * GiB
/** Batches under way for each thread: one at work, one waiting, one on its way to the file. */
const AHEAD = 3

/**
 * The levels used unless another is asked for. Deflate at 4 gives within 1.5 % of the size of level 6
 * in 0.8 of its time; zstd at 3 is the level of the zstd command.
 */
export const DEFAULT_LEVELS: Readonly<Record<ClusterCodec, number>> = {
  deflate: 4,
  'deflate-wide': 4,
  zstd: 3,
}

const MAX_LEVELS: Readonly<Record<ClusterCodec, number>> = {
  deflate: 9,
  'deflate-wide': 9,
  zstd: 19,
}

export interface ClusterStore extends AsyncDisposable {
  readonly index: ClusterIndex
  /** The payloads: what views mean by copies from the `store`. */
  readonly payload: Source
}

/**
 * A store that `makeClusterStore` made. Who opens it closes it.
 * Fails with FILE_NOT_FOUND, FILE_UNREADABLE; with IMAGE_TRUNCATED, IMAGE_UNSAFE when it is not whole
 * (make it again).
 */
export async function openClusterStore(path: string): Promise<ClusterStore> {
  const file = await openFileSource(path)
  try {
    const index = await readIndex(file)
    return {
      index,
      payload: windowOf(file, 0, index.payloadSize, path),
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    }
  } catch (error) {
    await file[Symbol.asyncDispose]()
    throw error
  }
}

async function readIndex(file: Source): Promise<ClusterIndex> {
  const start = Math.max(file.size - END, 0)
  const end = new Fields(await file.read(start, END), { name: file.name, start })
  const indexStart = end.size(0)
  const size = start - indexStart
  if (!end.holds(40, END_MAGIC) || size < 0 || size > INDEX_LIMIT)
    throw end.fault('IMAGE_UNSAFE', 0, 'this is no cluster store, or not all of one')
  const bytes = Buffer.from(await file.read(indexStart, size))
  const index = parseClusterIndex(bytes, `${file.name}: index`, indexStart)
  if (index.digest !== Buffer.from(end.slice(8, 32)).toString('hex'))
    throw end.fault('IMAGE_UNSAFE', 8, 'the index is not what its digest says')
  if (index.payloadSize !== indexStart)
    throw end.fault('IMAGE_UNSAFE', 0, `the index starts where payloads stand`)
  return index
}

export interface ClusterStoreOptions {
  readonly disk: Source
  readonly map: DiskMap
  readonly codec: ClusterCodec
  /** 1 to 9 for deflate, 1 to 19 for zstd; see `DEFAULT_LEVELS`. */
  readonly level?: number | undefined
  readonly path: string
  /** Default: one for each processor. The bytes do not depend on it. */
  readonly threads?: number | undefined
}

/**
 * Makes the store of a disk, whole or not at all, and opens it. The same disk, codec and level give the
 * same bytes (with the same release of Node, whose compressors these are). Tells progress as bytes of
 * data compressed, under the name `compress`.
 *
 * Fails with USAGE (level), INTERRUPTED, NO_SPACE, FILE_NOT_FOUND, FILE_UNREADABLE, and with what the
 * disk fails with.
 */
export async function makeClusterStore(
  options: ClusterStoreOptions,
  context: Context,
): Promise<ClusterStore> {
  const { codec, map, path, level = DEFAULT_LEVELS[options.codec] } = options
  if (!Number.isInteger(level) || level < 1 || level > MAX_LEVELS[codec])
    throw new Failure('USAGE', `no level ${level} of ${codec}; wanted 1 to ${MAX_LEVELS[codec]}`)
  await writeWholeFile(path, 'clusters', async (file) => {
    const builder = new ClusterIndexBuilder(map, codec, level)
    let end = 0
    for await (const packed of packBatches({ ...options, level }, context)) {
      await writeAll(file, packed.payload, end)
      end += packed.payload.length
      builder.add(packed)
    }
    const index = builder.toBytes()
    const { digest } = parseClusterIndex(index, path)
    await writeAll(file, index, end)
    await writeAll(file, endOf(end, digest), end + index.length)
  })
  return await openClusterStore(path)
}

function endOf(indexStart: number, digest: string): Buffer {
  const end = Buffer.alloc(END)
  end.writeBigUInt64LE(BigInt(indexStart), 0)
  end.write(digest, 8, 'hex')
  end.write(END_MAGIC, 40, 'latin1')
  return end
}

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}

/** All data of the disk, compressed, in the order of the disk; a bounded number of batches is ahead. */
async function* packBatches(
  options: ClusterStoreOptions & { level: number },
  { signal, progress }: Context,
): AsyncGenerator<Packed> {
  const { disk, map, threads: count = availableParallelism() } = options
  const { codec, level } = options
  const total = map.dataUnits * UNIT
  const batches = batchesOf(map)
  await using threads = openClusterThreads(
    { codec, level, name: disk.name, file: disk.file },
    Math.min(count, Math.ceil(map.dataUnits / BATCH)),
  )
  const underWay: Promise<Packed>[] = []
  let done = 0
  for (;;) {
    while (underWay.length < count * AHEAD) {
      const { value: batch } = batches.next()
      if (batch === undefined) break
      const plain = disk.file === undefined ? await readPlain(disk, batch) : undefined
      underWay.push(threads.pack({ ...batch, plain }, signal))
    }
    const packed = await underWay.shift()
    if (packed === undefined) return
    yield packed
    done += packed.lengths.length * UNIT
    progress({ kind: 'bytes', name: 'compress', done, total })
  }
}

/** The data of the disk in batches of at most `BATCH` units. */
function* batchesOf(map: DiskMap): Generator<Batch, undefined> {
  let extents: { offset: number; length: number }[] = []
  let room = BATCH * UNIT
  for (const { offset, length } of map.extents())
    for (let done = 0; done < length;) {
      const part = Math.min(length - done, room)
      extents.push({ offset: offset + done, length: part })
      done += part
      room -= part
      if (room > 0) continue
      yield { extents }
      extents = []
      room = BATCH * UNIT
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
