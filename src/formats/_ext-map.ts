import type { Fields } from '../bytes/fields.ts'

const DIRECT = 12

/** Blocks of a file that follow each other: on the disk, or `undefined` for a hole. */
export interface Run {
  physical: number | undefined
  count: number
}

/** Reads a block that says where others are; `from` and `at` are who named it. */
export type ReadNode = (physical: number, from: Fields, at: number) => Promise<Fields>

/**
 * Finds a block by the map of ext2 and ext3: entries 0 to 11 name blocks; 12, 13 and 14 name blocks
 * of entries, one, two and three levels deep.
 */
export async function findByMap(
  map: Fields,
  logical: number,
  blockSize: number,
  readNode: ReadNode,
): Promise<Run> {
  const way = wayTo(logical, blockSize / 4)
  const last = way.pop()
  if (last === undefined)
    throw map.fault('IMAGE_UNSAFE', 0, `block ${logical} of a file is more than a map can hold`)
  let here = map
  for (const [level, entry] of way.entries()) {
    const physical = here.u32(entry * 4)
    if (physical === 0) {
      const below = [...way.slice(level + 1), last]
      return { physical: undefined, count: leftOf(below, blockSize / 4) }
    }
    here = await readNode(physical, here, entry * 4)
  }
  return runAt(here, last, way.length === 0 ? DIRECT : blockSize / 4)
}

/** Which entries lead to a block: the first in the map, each other in the block found before. */
function wayTo(logical: number, perBlock: number): number[] {
  if (logical < DIRECT) return [logical]
  let rest = logical - DIRECT
  for (const levels of [1, 2, 3]) {
    if (rest < perBlock ** levels) {
      const digits = Array.from({ length: levels }, (_, index) => perBlock ** (levels - 1 - index))
      return [DIRECT + levels - 1, ...digits.map((unit) => Math.floor(rest / unit) % perBlock)]
    }
    rest -= perBlock ** levels
  }
  return []
}

/** How many blocks there are from a way on to the end of what it leads into. */
function leftOf(way: readonly number[], perBlock: number): number {
  return perBlock ** way.length - way.reduce((place, entry) => place * perBlock + entry, 0)
}

/** From an entry on, all that name blocks in a row or are empty. */
function runAt(fields: Fields, entry: number, end: number): Run {
  const first = fields.u32(entry * 4)
  const step = first === 0 ? 0 : 1
  let count = 1
  while (entry + count < end && fields.u32((entry + count) * 4) === first + count * step) count++
  return { physical: first === 0 ? undefined : first, count }
}
