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
      const sum = crc32(sector)
      const first = mixed(sum ^ mixed((place / SECTOR) >>> 0))
      this.merge({ first, second: mixed(first ^ sum) })
    }
  }

  merge({ first, second }: { first: number; second: number }): void {
    this.first = (this.first + first) >>> 0
    this.second = (this.second + second) >>> 0
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
