import { crc32c } from '../bytes/crc32c.ts'
import type { Fields } from '../bytes/fields.ts'
import type { ReadNode, Run } from './_ext-map.ts'

const MAGIC = 0xf30a
const MAX_DEPTH = 5
const ENTRY = 12
/** Lengths above this are of extents that were never written: they read as zeros. */
const UNWRITTEN = 32768

/**
 * Finds a block by the extent tree of ext4. A node is a header (0 magic, 2 entries, 4 most entries,
 * 6 levels below it), then entries of the same twelve bytes, then a check sum.
 *
 * | in a leaf | size | field                         | in an index | size | field                      |
 * | --------- | ---- | ----------------------------- | ----------- | ---- | -------------------------- |
 * | 0         | 4    | first block of the file       | 0           | 4    | first block of the file    |
 * | 4         | 2    | length in blocks              | 4           | 4    | next node, lower half      |
 * | 6, 8      | 2, 4 | on the disk, upper and lower  | 8           | 2    | next node, upper half      |
 */
export async function findByExtents(
  root: Fields,
  logical: number,
  seed: number | undefined,
  readNode: ReadNode,
): Promise<Run> {
  let here = root
  let end = 2 ** 32
  for (let depth = root.u16(6); ; depth--) {
    check(here, depth)
    const { entry, next } = entryFor(here, logical)
    end = Math.min(end, next)
    if (entry === undefined) return { physical: undefined, count: end - logical }
    if (depth === 0) return runOf(here, entry, logical, end)
    here = await readNode(here.u32(entry + 4) + here.u16(entry + 8) * 2 ** 32, here, entry + 4)
    if (seed !== undefined) checkSum(here, seed)
  }
}

/** Levels only go down, so no tree is endless. */
function check(node: Fields, depth: number): void {
  const most = node.u16(4)
  const fits = node.u16(2) <= most && ENTRY + most * ENTRY <= node.bytes.length
  if (node.u16(0) === MAGIC && fits && node.u16(6) === depth && depth <= MAX_DEPTH) return
  throw node.fault(
    'IMAGE_UNSAFE',
    0,
    `this is no node of an extent tree with ${depth} levels below`,
  )
}

function checkSum(node: Fields, seed: number): void {
  const end = ENTRY + node.u16(4) * ENTRY
  if (end + 4 <= node.bytes.length && crc32c(node.slice(0, end), seed) !== node.u32(end))
    throw node.fault('IMAGE_UNREADABLE', end, 'wrong check sum')
}

/** The last entry that starts at or before a block, if there is one, and where the next starts. */
function entryFor(node: Fields, logical: number): { entry: number | undefined; next: number } {
  let entry: number | undefined
  for (let index = 1; index <= node.u16(2); index++) {
    const start = node.u32(index * ENTRY)
    if (start > logical) return { entry, next: start }
    entry = index * ENTRY
  }
  return { entry, next: 2 ** 32 }
}

function runOf(leaf: Fields, entry: number, logical: number, end: number): Run {
  const skipped = logical - leaf.u32(entry)
  const raw = leaf.u16(entry + 4)
  const length = raw > UNWRITTEN ? raw - UNWRITTEN : raw
  if (skipped >= length) return { physical: undefined, count: end - logical }
  const physical = leaf.u16(entry + 6) * 2 ** 32 + leaf.u32(entry + 8) + skipped
  return { physical: raw > UNWRITTEN ? undefined : physical, count: length - skipped }
}
