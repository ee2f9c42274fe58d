/**
 * What a sparse file begins with in a tar archive of GNU's old form: its header, and as many more blocks
 * as the list of its data needs. Only that data follows, without the holes.
 * Source: GNU tar, "Storing Sparse Files", old GNU format.
 */
import { SECTOR } from '../base/units.ts'
import { tarHeader, writeTarNumber } from './tar-header.ts'
import { type DiskMap, UNIT } from './disk-map.ts'

/** Entries of the list, offset and length of 12 bytes each, in the header and in each further block. */
const HEADER_ENTRIES = 4
const BLOCK_ENTRIES = 21
const ENTRY = 24
/** Where the list stands in the header, and the byte that says whether more of it follows. */
const HEADER_LIST = 386
const HEADER_FLAG = 482
const BLOCK_FLAG = 504
/** The header: bytes of the file with its holes. */
const REAL_SIZE = 483
/** Blocks that are made at a time. */
export const PART_BLOCKS = 64

export interface SparseTarHead {
  readonly blocks: number
  /** `PART_BLOCKS` blocks, or those that are left; `part` counts them in such parts. */
  part(part: number): Buffer
}

/** The head of the data units of `map`, whole, as file `name` of `realSize` bytes. */
export function sparseTarHead(map: DiskMap, name: string, realSize: number): SparseTarHead {
  const { runs, partStarts } = countRuns(map)
  // One more entry, of length 0, says where the file ends.
  const entries = runs + 1
  const blocks = 1 + Math.max(Math.ceil((entries - HEADER_ENTRIES) / BLOCK_ENTRIES), 0)

  const header = (list: EntryWriter) =>
    tarHeader({ name, size: map.dataUnits * UNIT, type: 'S', magic: 'ustar  \0' }, (block) => {
      list.write(block, HEADER_LIST, HEADER_ENTRIES)
      block.writeUInt8(blocks > 1 ? 1 : 0, HEADER_FLAG)
      writeTarNumber(block, REAL_SIZE, realSize)
    })
  const further = (list: EntryWriter, index: number) => {
    const block = Buffer.alloc(SECTOR)
    list.write(block, 0, BLOCK_ENTRIES)
    block.writeUInt8(index + 1 < blocks ? 1 : 0, BLOCK_FLAG)
    return block
  }
  return {
    blocks,
    part: (part) => {
      const first = part * PART_BLOCKS
      const list = new EntryWriter(map, partStarts[part] ?? map.units, realSize)
      const count = Math.min(PART_BLOCKS, blocks - first)
      return Buffer.concat(
        Array.from({ length: count }, (_, index) =>
          first + index === 0 ? header(list) : further(list, first + index),
        ),
      )
    },
  }
}

/** How many runs of data there are, and the unit at which the list goes on in each part of the head. */
function countRuns(map: DiskMap): { runs: number; partStarts: number[] } {
  const partStarts: number[] = []
  let runs = 0
  for (let unit = map.next(0, true); unit < map.units; runs++) {
    if (runs === entriesBefore(partStarts.length)) partStarts.push(unit)
    unit = map.next(map.next(unit, false), true)
  }
  return { runs, partStarts }
}

function entriesBefore(part: number): number {
  return part === 0 ? 0 : HEADER_ENTRIES + (part * PART_BLOCKS - 1) * BLOCK_ENTRIES
}

/** Writes the list, entry after entry. */
class EntryWriter {
  readonly #map: DiskMap
  readonly #realSize: number
  #unit: number
  #ended = false

  constructor(map: DiskMap, unit: number, realSize: number) {
    this.#map = map
    this.#unit = map.next(unit, true)
    this.#realSize = realSize
  }

  /** At most `count` entries from byte `at` of a block on. */
  write(block: Buffer, at: number, count: number): void {
    for (let index = 0; index < count && !this.#ended; index++) {
      const start = this.#unit
      const end = this.#map.next(start, false)
      this.#ended = start === this.#map.units
      writeTarNumber(block, at + index * ENTRY, this.#ended ? this.#realSize : start * UNIT)
      writeTarNumber(block, at + index * ENTRY + 12, this.#ended ? 0 : (end - start) * UNIT)
      this.#unit = this.#map.next(end, true)
    }
  }
}
