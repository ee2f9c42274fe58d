/**
 * What tells disks apart without reading all of them: sums over the first sectors of each unit, which
 * come out the same in whatever order the parts of the disk are looked at, and however they are cut.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { KiB, SECTOR } from '../base/units.ts'
import { type DiskMap, UNIT } from './disk-map.ts'
import { isZero } from './zero-units.ts'

/** How much of the start of each unit counts: whole sectors. */
export const HEAD = 2 * KiB
/** An odd number whose multiples are spread over 32 bits (2^32 over the golden ratio). */
const SPREAD = 0x9e3779b1

export class HeadSums {
  first = 0
  second = 0

  /** Counts those sectors of `bytes`, which stand at `offset` of the disk, that begin a unit. Zeros count nothing. */
  add(bytes: Buffer, offset: number): void {
    for (let at = 0; at < bytes.length; at += SECTOR) {
      const place = offset + at
      if (place % UNIT >= HEAD) return
      const sector = bytes.subarray(at, at + SECTOR)
      if (isZero(sector)) continue
      const sum = crc32(sector, (place / SECTOR) >>> 0)
      this.merge({ first: sum, second: Math.imul(sum ^ (sum >>> 15), SPREAD) })
    }
  }

  merge({ first, second }: { first: number; second: number }): void {
    this.first = (this.first + first) >>> 0
    this.second = (this.second + second) >>> 0
  }
}

/** The name of a disk: hexadecimal SHA-256 of its map and the sums. */
export function nameOfDisk(map: DiskMap, { first, second }: HeadSums): string {
  return createHash('sha256')
    .update(map.toBytes())
    .update(Uint32Array.of(first, second))
    .digest('hex')
}
