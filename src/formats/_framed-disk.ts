import type { Content } from '../bytes/piece.ts'
import { mergedContent, placedContent, Places } from './_places.ts'
import { diskContent, joinedContent } from './_segments.ts'
import type { ClusterIndex } from './cluster-index.ts'
import { UNIT } from './disk-map.ts'

/** How a compressed stream is put together from frames that can be read one by one. */
export interface Framing {
  /** The frame of a cluster. */
  unit(cluster: number): Content
  unitLength(cluster: number): number
  /** The frame of the last unit of a disk when it is short: of `bytes`, without the padding. */
  shortUnit(cluster: number, bytes: Content): Content
  shortUnitLength(length: number): number
  /** The frame of a hole. */
  zeros(length: number): Content
  zerosLength(length: number): number
}

/** A disk as one stream of frames: one for each data unit, and one for each hole between them. */
export function framedDisk(clusters: ClusterIndex, framing: Framing): Content {
  const { map, count } = clusters
  const shortLength = map.has(map.units - 1) ? map.size % UNIT : 0
  const isShort = (cluster: number) => shortLength > 0 && cluster === count - 1
  const holeFrom = (unit: number) =>
    Math.max(Math.min(map.next(unit, true) * UNIT, map.size) - unit * UNIT, 0)
  const holeAfter = (cluster: number) => holeFrom(map.select(cluster) + 1)

  const places = new Places(count, (cluster) => {
    const hole = holeAfter(cluster)
    const unit = isShort(cluster)
      ? framing.shortUnitLength(shortLength)
      : framing.unitLength(cluster)
    return unit + (hole > 0 ? framing.zerosLength(hole) : 0)
  })
  const partAt = (cluster: number) => {
    const hole = holeAfter(cluster)
    const unit = isShort(cluster)
      ? framing.shortUnit(cluster, diskContent(map, map.size - shortLength))
      : framing.unit(cluster)
    return hole > 0 ? joinedContent(unit, framing.zeros(hole)) : unit
  }
  const first = holeFrom(0)
  const rest = placedContent(places, partAt)
  return mergedContent(first > 0 ? joinedContent(framing.zeros(first), rest) : rest)
}
