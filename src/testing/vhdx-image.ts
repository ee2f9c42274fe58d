import { KiB } from '../base/units.ts'
import { crc32c } from '../bytes/crc32c.ts'

/** Where VHDX files have their two headers and their two region tables. */
export const HEADERS = [64 * KiB, 128 * KiB] as const
export const REGIONS = [192 * KiB, 256 * KiB] as const

/** Makes the check sums of a changed file right again. */
export function sealVhdx(image: Buffer): void {
  for (const at of HEADERS) seal(image.subarray(at, at + 4 * KiB))
  for (const at of REGIONS) seal(image.subarray(at, at + 64 * KiB))
}

function seal(structure: Buffer): void {
  structure.writeUInt32LE(0, 4)
  structure.writeUInt32LE(~crc32c(structure, 0xffffffff) >>> 0, 4)
}
