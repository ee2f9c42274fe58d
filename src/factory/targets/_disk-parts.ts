/** How the data of a disk is cut for those who take it in parts, and leave out what is not there. */

/** Bytes from `start` to `end` (half-open). */
export interface Part {
  readonly start: number
  readonly end: number
}

/** Where there is data in a disk that may say nothing of it. */
export function extentsOf(disk: {
  readonly size: number
  readonly extents: readonly Part[] | null
}): readonly Part[] {
  return disk.extents ?? [{ start: 0, end: disk.size }]
}

/** The extents, each in parts of at most `most` bytes. */
export function* cutParts(extents: Iterable<Part>, most: number): Generator<Part> {
  for (const { start, end } of extents)
    for (let at = start; at < end; at += most) yield { start: at, end: Math.min(at + most, end) }
}

/** The runs between the extents, which hold nothing. */
export function* holesOf(extents: Iterable<Part>, size: number): Generator<Part> {
  let at = 0
  for (const { start, end } of extents) {
    if (start > at) yield { start: at, end: start }
    at = end
  }
  if (size > at) yield { start: at, end: size }
}

/** Numbers of the blocks of this many bytes that hold any of the extents, in order. */
export function* touchedBlocks(extents: Iterable<Part>, block: number): Generator<number> {
  let next = 0
  for (const { start, end } of extents) {
    const last = Math.ceil(end / block)
    for (next = Math.max(next, Math.floor(start / block)); next < last; next++) yield next
  }
}

/** Bytes of all of them. */
export function lengthOfParts(parts: Iterable<Part>): number {
  let length = 0
  for (const { start, end } of parts) length += end - start
  return length
}
