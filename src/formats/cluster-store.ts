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
import { GiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { openFileSource, type Source, windowOf } from '../bytes/source.ts'
import { type ClusterIndex, parseClusterIndex } from './cluster-index.ts'

const END = 48
const END_MAGIC = 'IngotEnd'
/** More than the index of any disk that fits into memory's limits: 10 bytes for each 64 KiB. */
const INDEX_LIMIT = 2 * GiB

export interface ClusterStore extends AsyncDisposable {
  readonly index: ClusterIndex
  /** The payloads: what views mean by copies from the `store`. */
  readonly payload: Source
}

/**
 * A store that was made before (`make-cluster-store.ts`). Who opens it closes it.
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

/** What a store ends with whose index stands at byte `start`. */
export function clusterStoreEnd(start: number, index: ClusterIndex): Buffer {
  const end = Buffer.alloc(END)
  end.writeBigUInt64LE(BigInt(start), 0)
  end.write(index.digest, 8, 'hex')
  end.write(END_MAGIC, 40, 'latin1')
  return end
}
