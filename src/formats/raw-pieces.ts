import type { Piece } from '../bytes/piece.ts'
import type { DiskMap } from './disk-map.ts'

/** A raw disk with that map: its data, and zeros between. */
export function* piecesOfRaw(map: DiskMap): Generator<Piece> {
  let at = 0
  for (const { offset, length } of map.extents()) {
    if (offset > at) yield { kind: 'zeros', length: offset - at }
    yield { kind: 'copy', of: 'disk', offset, length }
    at = offset + length
  }
  if (at < map.size) yield { kind: 'zeros', length: map.size - at }
}
