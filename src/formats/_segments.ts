/**
 * What files of a disk format are joined from: metadata that is computed when somebody asks for it,
 * zeros, and the data of the guest's disk. Nothing here keeps a list of what is where: any range starts
 * at once, and memory does not depend on how scattered the data is.
 */
import { KiB } from '../base/units.ts'
import type { Content, Piece } from '../bytes/piece.ts'
import type { DiskMap } from './disk-map.ts'

/** How much of a table is computed at a time. */
const TABLE_PART = 64 * KiB

/** Bytes that are known already. */
export function bytesContent(bytes: Uint8Array): Content {
  return {
    length: bytes.length,
    *pieces(from, to) {
      if (from < to) yield { kind: 'bytes', bytes: bytes.subarray(from, to) }
    },
  }
}

export function zerosContent(length: number): Content {
  return { length, pieces: zeroPieces }
}

function* zeroPieces(from: number, to: number): Generator<Piece> {
  if (from < to) yield { kind: 'zeros', length: to - from }
}

/** One after the other. */
export function joinedContent(...parts: readonly Content[]): Content {
  return {
    length: parts.reduce((length, part) => length + part.length, 0),
    *pieces(from, to) {
      let start = 0
      for (const part of parts) {
        if (start >= to) return
        const end = start + part.length
        if (end > from)
          yield* part.pieces(Math.max(from - start, 0), Math.min(to - start, part.length))
        start = end
      }
    },
  }
}

/**
 * Content of `length` bytes that is told in parts of `partLength`, the last of which may be short:
 * `partAt` gives the part that starts at a byte, when it is wanted.
 */
export function contentInParts(
  length: number,
  partLength: number,
  partAt: (start: number) => Content,
): Content {
  return {
    length,
    *pieces(from, to) {
      for (let start = from - (from % partLength); start < to; start += partLength) {
        const end = Math.min(start + partLength, to)
        yield* partAt(start).pieces(Math.max(from - start, 0), end - start)
      }
    },
  }
}

/**
 * A table of `length` bytes, made in parts: `make` gives the `size` bytes that start at byte `start`
 * of it, or nothing where all of them are zeros. Starts are multiples of 64 KiB.
 */
export function tableContent(
  length: number,
  make: (start: number, size: number) => Uint8Array | undefined,
): Content {
  return contentInParts(length, TABLE_PART, (start) => {
    const size = Math.min(TABLE_PART, length - start)
    const bytes = make(start, size)
    return bytes === undefined ? zerosContent(size) : bytesContent(bytes)
  })
}

/**
 * The guest's disk as `length` bytes from `offset` on: its data units are copied, all else is zeros,
 * also what lies behind its end.
 */
export function diskContent(map: DiskMap, offset = 0, length = map.size - offset): Content {
  return { length, pieces: (from, to) => diskPieces(map, offset + from, offset + to) }
}

function* diskPieces(map: DiskMap, from: number, to: number): Generator<Piece> {
  const end = Math.min(to, map.size)
  let at = from
  while (at < end) {
    const unit = Math.floor(at / map.unit)
    const data = map.has(unit)
    const stop = Math.min(map.next(unit, !data) * map.unit, end)
    const length = stop - at
    yield data ? { kind: 'copy', of: 'disk', offset: at, length } : { kind: 'zeros', length }
    at = stop
  }
  yield* zeroPieces(at, to)
}

/**
 * The blocks of the disk that hold data, and only those, whole, one after the other. `blocks` is `map`
 * or a coarser one of the same disk; inside a block that `map` knows more of, holes are not read.
 */
export function blocksContent(map: DiskMap, blocks: DiskMap): Content {
  const size = blocks.unit
  return {
    length: blocks.dataUnits * size,
    *pieces(from, to) {
      if (from >= to) return
      let block = blocks.select(Math.floor(from / size))
      let inside = from % size
      for (let left = to - from; left > 0;) {
        const end = blocks.next(block, false)
        const start = block * size + inside
        const length = Math.min(end * size - start, left)
        yield* diskPieces(map, start, start + length)
        left -= length
        inside = 0
        block = blocks.next(end, true)
      }
    },
  }
}

/**
 * Calls `each` for every unit from `first` up to `end` (not included) that holds data, with the count
 * of those before it on the whole disk: what tables of all formats are filled from.
 */
export function forDataUnits(
  map: DiskMap,
  first: number,
  end: number,
  each: (unit: number, rank: number) => void,
): void {
  const last = Math.min(end, map.units)
  let unit = map.next(first, true)
  if (unit >= last) return
  let rank = map.rank(unit)
  while (unit < last) {
    const stop = Math.min(map.next(unit, false), last)
    while (unit < stop) each(unit++, rank++)
    unit = map.next(stop, true)
  }
}

/** `value` or the next multiple of `unit` above it. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
