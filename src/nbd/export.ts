/**
 * NBD: a guest's disk over the Network Block Device protocol, read only, so that QEMU, nbdcopy and
 * kernels read an image of any format with no copy and no conversion. `server.ts` listens;
 * `_negotiate.ts` agrees with a client on what it wants (a pure generator); `_transmission.ts` answers
 * its requests. The command calls it; what stands in the disk and where is decided below, in formats.
 */
import type { Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'

/** The one disk that a server offers. */
export interface NbdExport {
  /** By which clients ask for it; empty is what they ask for when nothing is said. */
  readonly name: string
  /** One line for people, shown by `nbdinfo`. */
  readonly description: string
  readonly disk: Source
  /** Of that disk: what it says is empty is never read. */
  readonly map: DiskMap
}

/** A run of the disk that is all data or all zeros. */
export interface Run {
  readonly offset: number
  readonly length: number
  readonly data: boolean
}

/** The runs between two bytes of the disk (`to` not included), in order and without gaps. */
export function* runsOf(map: DiskMap, from: number, to: number): Generator<Run> {
  for (let offset = from; offset < to;) {
    const unit = Math.floor(offset / map.unit)
    const data = map.has(unit)
    const length = Math.min(map.next(unit, !data) * map.unit, to) - offset
    yield { offset, length, data }
    offset += length
  }
}
