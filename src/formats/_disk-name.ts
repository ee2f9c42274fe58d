/**
 * What tells disks apart without reading all of them: sums over the first sector of each unit, which
 * come out the same in whatever order the parts of the disk are looked at, and however they are cut.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { SECTOR } from '../base/units.ts'
import { type DiskMap, UNIT } from './disk-map.ts'
import { isZero } from './zero-units.ts'

/** How much of the start of each unit counts: a whole sector, since disks may be cut at sectors. */
export const HEAD = SECTOR

export class HeadSums {
  first = 0
  second = 0

  /** Counts a sector that stands at `offset` of the disk, if it begins a unit. Zeros count nothing. */
  add(sector: Buffer, offset: number): void {
    if (offset % UNIT !== 0 || isZero(sector)) return
    const sum = crc32(sector)
    const first = mixed(sum ^ mixed((offset / SECTOR) >>> 0))
    this.first = (this.first + first) >>> 0
    this.second = (this.second + mixed(first ^ sum)) >>> 0
  }
}

/** Each bit of the result depends on all bits of the number. Source: MurmurHash3, fmix32. */
function mixed(number: number): number {
  let bits = number ^ (number >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** The name of a disk: hexadecimal SHA-256 of its map and the sums. */
export function nameOfDisk(map: DiskMap, { first, second }: HeadSums): string {
  return createHash('sha256')
    .update(map.toBytes())
    .update(Uint32Array.of(first, second))
    .digest('hex')
}
