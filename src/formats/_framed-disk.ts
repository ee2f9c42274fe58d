import type { Piece } from '../bytes/piece.ts'
import { piecesContent } from './_pieces.ts'
import { Places } from './_places.ts'
import type { ClusterIndex } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'
import type { OrderedContent } from './ordered-content.ts'

/** How a compressed stream is put together from frames that can be read one by one. */
export interface Framing {
  /** The frame of a cluster. */
  unit(cluster: number): readonly Piece[]
  unitLength(cluster: number): number
  /** The frame of the last unit of a disk when it is short: of `bytes`, without the padding. */
  shortUnit(cluster: number, bytes: Piece, length: number): readonly Piece[]
  shortUnitLength(length: number): number
  /** The frame of a hole. */
  zeros(length: number): readonly Piece[]
  zerosLength(length: number): number
}

/** A disk as one stream of frames: one for each data unit, and one for each hole between them. */
export function framedDisk(clusters: ClusterIndex, framing: Framing): OrderedContent {
  const { map, count } = clusters
  const shortLength = map.has(map.units - 1) ? map.size % UNIT : 0
  const isShort = (cluster: number) => shortLength > 0 && cluster === count - 1
  const holeFrom = (unit: number) =>
    Math.max(Math.min(map.next(unit, true) * UNIT, map.size) - unit * UNIT, 0)
  const holeAfter = (cluster: number) => holeFrom(map.select(cluster) + 1)
  const shortPiece: Piece = {
    kind: 'copy',
    of: 'disk',
    offset: map.size - shortLength,
    length: shortLength,
  }

  const parts = new Places(count, (cluster) => {
    const hole = holeAfter(cluster)
    const unit = isShort(cluster)
      ? framing.shortUnitLength(shortLength)
      : framing.unitLength(cluster)
    return unit + (hole > 0 ? framing.zerosLength(hole) : 0)
  })
  const partAt = (cluster: number) => {
    const hole = holeAfter(cluster)
    const unit = isShort(cluster)
      ? framing.shortUnit(cluster, shortPiece, shortLength)
      : framing.unit(cluster)
    return hole > 0 ? [...unit, ...framing.zeros(hole)] : unit
  }
  const first = holeFrom(0)
  const head = piecesContent(first > 0 ? framing.zeros(first) : [])
  return { head, parts, partAt, tail: () => piecesContent([]) }
}
