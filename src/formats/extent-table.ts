import { Failure } from '../base/failure.ts'
import type { Extent, Packing } from './parser.ts'

/** Entries at most: 28 bytes each in memory. No image in use comes near. */
const MAX_EXTENTS = 16 * 1024 * 1024
const PACKINGS: readonly Packing[] = ['deflate', 'zlib', 'zstd']
/** The packing stands above the length of the payload. */
const PACKING_SHIFT = 30

/**
 * Where a file keeps each part of a guest's disk, by place in the disk: sorted, without overlap, in
 * numbers side by side, so that a million extents cost 28 MiB and one is found in 20 steps.
 */
export class ExtentTable {
  readonly size: number
  readonly #columns: Columns

  constructor(size: number, columns: Columns) {
    this.size = size
    this.#columns = columns
  }

  get count(): number {
    return this.#columns.count
  }

  /** The extent of this number, in the order of the disk. */
  at(index: number): Extent {
    const { guest, length, host, packed } = this.#columns
    const place = {
      guest: guest[index] ?? 0,
      length: length[index] ?? 0,
      host: host[index] ?? 0,
    }
    const packing = packed[index] ?? 0
    const kind = PACKINGS[(packing >>> PACKING_SHIFT) - 1]
    if (kind === undefined) return { kind: 'data', ...place }
    const { room } = this.#columns
    const hostLength = packing & (2 ** PACKING_SHIFT - 1)
    return { kind, ...place, hostLength, ...(room?.guest === place.guest && { room: room.bytes }) }
  }

  /** The number of the first extent that ends behind this byte of the disk; `count` if none does. */
  find(offset: number): number {
    const { guest, length } = this.#columns
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((guest[middle] ?? 0) + (length[middle] ?? 0) > offset) high = middle
      else low = middle + 1
    }
    return low
  }
}

interface Columns {
  readonly count: number
  readonly guest: Float64Array
  readonly length: Float64Array
  readonly host: Float64Array
  /** 0 for data; else the packing (from 1) and the length of the payload. */
  readonly packed: Uint32Array
  /** Of the one extent that may unpack to more than its length. */
  readonly room?: { readonly guest: number; readonly bytes: number } | undefined
}

/** Collects extents in the order in which a parser announces them. */
export class ExtentTableBuilder {
  #columns = emptyColumns(1024)
  #count = 0
  #sorted = true
  #room: Columns['room']

  /** Adds an extent; one that goes on where the last one ends is made one with it. */
  add(extent: Extent): void {
    const last = this.#count - 1
    const { guest, length, host, packed } = this.#columns
    const lastEnd = last < 0 ? 0 : (guest[last] ?? 0) + (length[last] ?? 0)
    if (extent.kind === 'data' && last >= 0 && packed[last] === 0) {
      const hostEnd = (host[last] ?? 0) + (length[last] ?? 0)
      if (extent.guest === lastEnd && extent.host === hostEnd) {
        length[last] = (length[last] ?? 0) + extent.length
        return
      }
    }
    if (extent.guest < lastEnd) this.#sorted = false
    this.#append(extent)
  }

  /**
   * The table of a disk of `size` bytes in a file of `fileSize` bytes; open ends are closed, and
   * what stands behind the end of the disk is dropped. Fails with IMAGE_UNSAFE when two extents are
   * the same part of the disk.
   */
  toTable(size: number, fileSize: number): ExtentTable {
    const columns = this.#sorted ? this.#columns : sortedColumns(this.#columns, this.#count)
    const { guest, length, host, packed } = columns
    let count = this.#count
    while (count > 0 && (guest[count - 1] ?? 0) >= size) count--
    for (let index = 0; index < count; index++) {
      const start = guest[index] ?? 0
      const there = length[index] === Infinity ? fileSize - (host[index] ?? 0) : length[index]
      // A compressed cluster is whole, even if the disk ends inside it.
      const limit = index + 1 < count || packed[index] !== 0 ? Infinity : size
      const end = Math.min(start + (there ?? 0), limit)
      length[index] = end - start
      if (index + 1 < count && end > (guest[index + 1] ?? 0))
        throw new Failure(
          'IMAGE_UNSAFE',
          `byte ${guest[index + 1]} of the disk is said to stand in two places of the file`,
          { details: { offset: host[index + 1] } },
        )
    }
    return new ExtentTable(size, { ...columns, count, room: this.#room })
  }

  #append(extent: Extent): void {
    if (this.#count === this.#columns.guest.length) {
      if (this.#count * 2 > MAX_EXTENTS)
        throw new Failure('IMAGE_UNSAFE', `the disk is in more than ${MAX_EXTENTS / 2} pieces`)
      this.#columns = grownColumns(this.#columns)
    }
    const { guest, length, host, packed } = this.#columns
    guest[this.#count] = extent.guest
    length[this.#count] = extent.length
    host[this.#count] = extent.host
    packed[this.#count] = extent.kind === 'data' ? 0 : packedEntry(extent)
    if (extent.kind !== 'data' && extent.room !== undefined)
      this.#room = { guest: extent.guest, bytes: extent.room }
    this.#count++
  }
}

function packedEntry({ kind, hostLength }: { kind: Packing; hostLength: number }): number {
  if (hostLength >= 2 ** PACKING_SHIFT)
    throw new Failure('IMAGE_UNSAFE', `a compressed cluster of ${hostLength} bytes`)
  return ((PACKINGS.indexOf(kind) + 1) << PACKING_SHIFT) | hostLength
}

function emptyColumns(capacity: number): Columns {
  return {
    count: capacity,
    guest: new Float64Array(capacity),
    length: new Float64Array(capacity),
    host: new Float64Array(capacity),
    packed: new Uint32Array(capacity),
  }
}

function grownColumns(columns: Columns): Columns {
  const larger = emptyColumns(columns.count * 2)
  larger.guest.set(columns.guest)
  larger.length.set(columns.length)
  larger.host.set(columns.host)
  larger.packed.set(columns.packed)
  return larger
}

function sortedColumns(columns: Columns, count: number): Columns {
  const { guest } = columns
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  order.sort((a, b) => (guest[a] ?? 0) - (guest[b] ?? 0))
  const sorted = emptyColumns(count)
  for (const [to, from] of order.entries()) {
    sorted.guest[to] = guest[from] ?? 0
    sorted.length[to] = columns.length[from] ?? 0
    sorted.host[to] = columns.host[from] ?? 0
    sorted.packed[to] = columns.packed[from] ?? 0
  }
  return sorted
}
