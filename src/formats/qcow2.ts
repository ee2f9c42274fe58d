import { inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { Failure, messageOf } from '../base/failure.ts'
import { MiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { Recent } from '../bytes/recent.ts'
import { checkRange, type Source } from '../bytes/source.ts'
import { type Qcow2Header, readQcow2Header } from './_qcow2-header.ts'
import { zstdFrameLength } from './_zstd-frame.ts'

const TABLES_LIMIT = 4 * MiB
const CLUSTERS_LIMIT = 4 * MiB
const OFFSET_MASK = 0x00fffffffffffe00n
const L1_RESERVED = 0x7f000000000001ffn
/** Bit 62 of an L2 entry, in its upper half. */
const COMPRESSED = 0x40000000

/** The disk inside a qcow2 file, and what its header says. */
export interface Qcow2 extends Source {
  readonly header: Qcow2Header
}

/** Where a cluster of the guest's disk is kept. */
type Place =
  | { kind: 'zero' }
  | { kind: 'data'; offset: number }
  | { kind: 'compressed'; offset: number; end: number }

/**
 * Opens the guest's disk inside a qcow2 file. Versions 2 and 3, all cluster sizes, compression by
 * zlib and zstd. Every entry of a table is checked when the table is read, so nothing outside the
 * file is ever reached; memory stays under 48 MiB whatever the file says.
 *
 * Fails with IMAGE_UNSAFE (backing file, external data, tables that lie), IMAGE_DIRTY,
 * FILE_SYSTEM_ENCRYPTED, IMAGE_TRUNCATED, IMAGE_UNREADABLE; so does `read`. The file stays open
 * until whoever opened it closes it.
 */
export async function openQcow2(file: Source): Promise<Qcow2> {
  const header = await readQcow2Header(file)
  const tables = await openTables(file, header)
  const clusterSize = 2 ** header.clusterBits
  const clusters = new Recent<number, Uint8Array>(CLUSTERS_LIMIT)

  const inflated = async (place: Place & { kind: 'compressed' }): Promise<Uint8Array> => {
    const known = clusters.get(place.offset)
    if (known !== undefined) return known
    const length = Math.min(place.end, file.size) - place.offset
    const payload = await file.read(place.offset, length)
    const cluster = decompress(payload, header.compression, clusterSize, file.name, place.offset)
    clusters.set(place.offset, cluster, clusterSize)
    return cluster
  }

  const source: Qcow2 = {
    name: file.name,
    size: header.virtualSize,
    header,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      const result = Buffer.alloc(length)
      for (let done = 0; done < length;) {
        const at = offset + done
        const inside = at % clusterSize
        const { place, clusters: count } = await tables.run(at, length - done + inside)
        const piece = Math.min(length - done, count * clusterSize - inside)
        if (place.kind === 'data') result.set(await file.read(place.offset + inside, piece), done)
        if (place.kind === 'compressed')
          result.set((await inflated(place)).subarray(inside, inside + piece), done)
        done += piece
      }
      return result
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}

/** One payload, which must give exactly one cluster. */
function decompress(
  payload: Uint8Array,
  compression: 'zlib' | 'zstd',
  clusterSize: number,
  name: string,
  offset: number,
): Uint8Array {
  const limit = { maxOutputLength: clusterSize }
  try {
    const cluster =
      compression === 'zlib'
        ? inflateRawSync(payload, { ...limit, windowBits: 12 })
        : zstdDecompressSync(payload.subarray(0, zstdFrameLength(payload) ?? 0), limit)
    if (cluster.length === clusterSize) return cluster
    throw new Error(`it gives ${cluster.length} bytes instead of ${clusterSize}`)
  } catch (error) {
    throw new Failure(
      'IMAGE_UNSAFE',
      `${name}, byte ${offset}: a compressed cluster is damaged: ${messageOf(error)}`,
      { details: { offset }, cause: error },
    )
  }
}

interface Tables {
  /** The place of the cluster with byte `at`, and how many clusters follow each other there. */
  run(at: number, length: number): Promise<{ place: Place; clusters: number }>
}

async function openTables(file: Source, header: Qcow2Header): Promise<Tables> {
  const clusterSize = 2 ** header.clusterBits
  const perTable = clusterSize / 8
  const l1 = new Fields(await file.read(header.l1Offset, header.l1Entries * 8), {
    name: `${file.name}: L1 table`,
    start: header.l1Offset,
    order: 'big',
  })
  for (let index = 0; index < header.l1Entries; index++) checkL1Entry(l1, index, file, clusterSize)
  const loaded = new Recent<number, Fields>(Math.max(TABLES_LIMIT, 2 * clusterSize))

  const tableAt = async (start: number, guest: number): Promise<Fields> => {
    const known = loaded.get(start)
    if (known !== undefined) return known
    const bytes = await file.read(start, clusterSize)
    const table = new Fields(bytes, { name: `${file.name}: L2 table`, start, order: 'big' })
    const count = Math.min(perTable, Math.ceil((header.virtualSize - guest) / clusterSize))
    for (let index = 0; index < count; index++) {
      const needed = Math.min(clusterSize, header.virtualSize - guest - index * clusterSize)
      checkL2Entry(table, index, { file, header, needed })
    }
    loaded.set(start, table, clusterSize)
    return table
  }

  return {
    run: async (at, length) => {
      const cluster = Math.floor(at / clusterSize)
      const index = cluster % perTable
      const wanted = Math.min(Math.ceil(length / clusterSize), perTable - index)
      const start = Number(l1.u64(Math.floor(cluster / perTable) * 8) & OFFSET_MASK)
      if (start === 0) return { place: { kind: 'zero' }, clusters: wanted }
      const table = await tableAt(start, (cluster - index) * clusterSize)
      const place = placeOf(table, index, header)
      let clusters = 1
      while (
        clusters < wanted &&
        follows(place, placeOf(table, index + clusters, header), clusters * clusterSize)
      )
        clusters++
      return { place, clusters }
    },
  }
}

function follows(first: Place, next: Place, distance: number): boolean {
  if (first.kind === 'data') return next.kind === 'data' && next.offset === first.offset + distance
  return first.kind === 'zero' && next.kind === 'zero'
}

/** Bits 9 to 55: offset of an L2 table; bit 63: it is not shared. */
function checkL1Entry(l1: Fields, index: number, file: Source, clusterSize: number): void {
  const entry = l1.u64(index * 8)
  const offset = Number(entry & OFFSET_MASK)
  if ((entry & L1_RESERVED) !== 0n || offset % clusterSize !== 0)
    throw l1.fault('IMAGE_UNSAFE', index * 8, `entry 0x${entry.toString(16)} is not valid`)
  if (offset !== 0 && offset + clusterSize > file.size)
    throw l1.fault('IMAGE_TRUNCATED', index * 8, `names byte ${offset}, behind the end of the file`)
}

function checkL2Entry(
  table: Fields,
  index: number,
  { file, header, needed }: { file: Source; header: Qcow2Header; needed: number },
): void {
  const at = index * 8
  const compressed = (table.u32(at) & COMPRESSED) !== 0
  const offset = standardOffset(table, at)
  const reserved = (table.u32(at) & 0x3f000000) | (table.u32(at + 4) & 0x1fe)
  if (!compressed && (reserved !== 0 || offset % 2 ** header.clusterBits !== 0))
    throw table.fault('IMAGE_UNSAFE', at, `entry 0x${table.u64(at).toString(16)} is not valid`)
  const place = placeOf(table, index, header)
  if (place.kind === 'zero') return
  const end = place.offset + (place.kind === 'data' ? needed : 1)
  if (end > file.size)
    throw table.fault('IMAGE_TRUNCATED', at, `names byte ${end - 1}, behind the end of the file`)
}

/** Bits 9 to 55: offset of the cluster; bit 0: reads as zeros; bit 63: it is not shared. */
function standardOffset(table: Fields, at: number): number {
  return (table.u32(at) & 0x00ffffff) * 2 ** 32 + ((table.u32(at + 4) & 0xfffffe00) >>> 0)
}

/**
 * A compressed entry, with x = 62 - (cluster bits - 8): bits 0 to x-1 offset of the payload, bits
 * x to 61 how many more sectors than the first one it touches.
 */
function placeOf(table: Fields, index: number, header: Qcow2Header): Place {
  const at = index * 8
  if ((table.u32(at) & COMPRESSED) === 0) {
    const offset = standardOffset(table, at)
    const zero = offset === 0 || (header.version === 3 && (table.u32(at + 4) & 1) === 1)
    return zero ? { kind: 'zero' } : { kind: 'data', offset }
  }
  const entry = table.u64(at)
  const bits = BigInt(62 - (header.clusterBits - 8))
  const offset = Number(BigInt.asUintN(Number(bits), entry))
  const sectors = Number(BigInt.asUintN(62, entry) >> bits) + 1
  return { kind: 'compressed', offset, end: offset - (offset % SECTOR) + sectors * SECTOR }
}
