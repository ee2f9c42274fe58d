import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'
import type { VmdkHeader } from './_vmdk-header.ts'

/** Bytes before the payload of a grain. */
export const GRAIN_MARKER = 12

/** A compressed grain: which one it is, and where what follows it begins. */
export interface PackedGrain {
  readonly grain: number
  readonly end: number
}

/**
 * Checks the marker before a compressed grain, claims both and announces the grain.
 *
 * | offset | size | field (little-endian)                                     |
 * | ------ | ---- | --------------------------------------------------------- |
 * | 0      | 8    | first sector of the grain in the disk                     |
 * | 8      | 4    | bytes of the payload, which follows; padded to a sector   |
 */
export function takeGrain(parsing: Parsing, header: VmdkHeader, marker: Fields): PackedGrain {
  const { grainSize, grains, virtualSize } = header
  const hostLength = marker.u32(8)
  if (hostLength === 0 || hostLength > 2 * grainSize)
    parsing.stop('OUT_OF_RANGE', {
      at: marker.start + 8,
      expected: `a payload of at most ${2 * grainSize} bytes`,
      found: `${hostLength}`,
    })
  const grain = (marker.size(0) * SECTOR) / grainSize
  if (!Number.isInteger(grain) || grain >= grains)
    parsing.stop('OUT_OF_RANGE', {
      at: marker.start,
      expected: `the first sector of one of ${grains} grains`,
      found: `${marker.u64(0)}`,
    })
  const host = marker.start + GRAIN_MARKER
  const end = Math.ceil((host + hostLength) / SECTOR) * SECTOR
  if (parsing.claim(marker.start, end - marker.start, 'grain', marker.start)) {
    const guest = grain * grainSize
    const length = Math.min(grainSize, virtualSize - guest)
    const room = length < grainSize ? { room: grainSize } : {}
    parsing.announce({ kind: 'zlib', guest, length, host, hostLength, ...room })
  }
  return { grain, end }
}
