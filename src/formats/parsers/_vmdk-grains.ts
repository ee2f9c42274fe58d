import { SECTOR } from '../../base/units.ts'
import type { Asking, Parsing } from '../parser.ts'
import { DataRuns } from './_data-runs.ts'
import { PlaceList } from './_place-list.ts'
import { GRAIN_MARKER, takeGrain } from './_vmdk-markers.ts'
import { readGrainTables, type VmdkHeaders } from './_vmdk-tables.ts'

/** Compressed grains that are remembered, 8 bytes each: a disk of 1 TiB without a hole. */
const MAX_GRAINS = 16 * 1024 * 1024

/** The grains of a disk that is not compressed. */
export function* readPlainGrains(parsing: Parsing, headers: VmdkHeaders): Asking<void> {
  const { grainSize, virtualSize } = headers.header
  const runs = new DataRuns(parsing, 'grains')
  const flush = () => runs.flush()
  const use = (grain: number, sector: number, from: number) => {
    const guest = grain * grainSize
    runs.add(guest, sector * SECTOR, Math.min(grainSize, virtualSize - guest), from)
  }
  yield* readGrainTables(parsing, headers, use, flush)
  flush()
}

/**
 * The grains of a compressed disk whose tables stand in front, as QEMU writes it. Who reads it as a
 * stream goes by the markers before the grains, so those must say the same as the tables: the same
 * grains, one behind the other, and nothing after the last one.
 */
export function* readPackedGrains(parsing: Parsing, headers: VmdkHeaders): Asking<void> {
  const { header } = headers
  const places = new PlaceList()
  const footerAt = yield* readGrainTables(parsing, headers, (grain, sector, from) => {
    if (places.count === MAX_GRAINS)
      parsing.stop('LIMIT_REACHED', { at: from, found: `more than ${MAX_GRAINS} grains` })
    places.add(sector, grain)
  })
  let end = header.overhead
  for (const { sector, index } of places.byPlace()) {
    const at = sector * SECTOR
    if (at > end)
      parsing.stop('COPIES_DIFFER', {
        at: end,
        expected: 'the next grain of which the tables tell',
        found: `that it stands at byte ${at}`,
      })
    const marker = yield { at, length: GRAIN_MARKER, name: 'grain marker' }
    const taken = takeGrain(parsing, header, marker)
    if (taken.grain !== index)
      parsing.note('COPIES_DIFFER', {
        at,
        expected: `grain ${index}, as its table says`,
        found: `grain ${taken.grain}`,
      })
    end = Math.max(end, taken.end)
  }
  yield* checkEnd(parsing, end, footerAt ?? (yield* endOfFile()))
}

function* endOfFile(): Asking<number> {
  const tail = yield { at: -SECTOR, length: SECTOR, name: 'end of the file' }
  return tail.start + SECTOR
}

/** Between the last grain and what ends it all: zeros, which as a marker mean the end, or nothing at all. */
function* checkEnd(parsing: Parsing, end: number, bound: number): Asking<void> {
  if (bound <= end) return
  const marker = yield {
    at: end,
    length: Math.min(SECTOR, bound - end),
    name: 'end marker',
  }
  if (marker.bytes.some((byte) => byte !== 0))
    parsing.note('COPIES_DIFFER', {
      at: end,
      expected: 'the end, for the tables tell of no more grains',
      found: 'another marker',
    })
}
