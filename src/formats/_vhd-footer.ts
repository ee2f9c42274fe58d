import { SECTOR } from '../base/units.ts'
import { MADE_AT, uuidFor } from './_identity.ts'

/** Time stamps of VHD count seconds from here. */
const EPOCH = Date.UTC(2000, 0, 1)

/** Where no header follows: in fixed disks. */
export const NO_OFFSET = 0xffffffffffffffffn

/**
 * The footer of a VHD, which a dynamic one also starts with. Big-endian; what is not named is zero.
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0.
 *
 * | offset | size    | field                                                        |
 * | ------ | ------- | ------------------------------------------------------------ |
 * | 0      | 8       | `conectix`                                                   |
 * | 8      | 4       | features: 2 (always set)                                     |
 * | 12     | 4       | version: 1.0                                                 |
 * | 16     | 8       | offset of the dynamic header; all ones in a fixed disk       |
 * | 24     | 4       | seconds since 2000                                           |
 * | 28     | 4       | creator: `win `, for which all readers trust the size at 48  |
 * | 32     | 4, 4    | its version, its system                                      |
 * | 40     | 8, 8    | original and current bytes of the disk                       |
 * | 56     | 2, 1, 1 | cylinders, heads, sectors of a track                         |
 * | 60     | 4       | type: 2 fixed, 3 dynamic                                     |
 * | 64     | 4       | check sum                                                    |
 * | 68     | 16      | UUID                                                         |
 */
export function vhdFooter(disk: {
  readonly kind: 'fixed' | 'dynamic'
  readonly size: number
  readonly identity: string
}): Buffer {
  const fixed = disk.kind === 'fixed'
  const { cylinders, heads, sectors } = vhdGeometry(disk.size / SECTOR)
  const footer = Buffer.alloc(SECTOR)
  footer.write('conectix', 0, 'latin1')
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x00010000, 12)
  footer.writeBigUInt64BE(fixed ? NO_OFFSET : BigInt(SECTOR), 16)
  footer.writeUInt32BE((MADE_AT.getTime() - EPOCH) / 1000, 24)
  footer.write('win ', 28, 'latin1')
  footer.writeUInt32BE(0x000a0000, 32)
  footer.write('Wi2k', 36, 'latin1')
  footer.writeBigUInt64BE(BigInt(disk.size), 40)
  footer.writeBigUInt64BE(BigInt(disk.size), 48)
  footer.writeUInt16BE(cylinders, 56)
  footer.writeUInt8(heads, 58)
  footer.writeUInt8(sectors, 59)
  footer.writeUInt32BE(fixed ? 2 : 3, 60)
  uuidFor(`vhd ${disk.kind}`, disk.identity).copy(footer, 68)
  footer.writeUInt32BE(vhdCheckSum(footer), 64)
  return footer
}

/** Ones' complement of the sum of all bytes, for a structure whose own field is still zero. */
export function vhdCheckSum(structure: Uint8Array): number {
  return ~structure.reduce((sum, byte) => sum + byte, 0) >>> 0
}

/**
 * Cylinders, heads and sectors of a track for a disk of so many sectors: an old BIOS's idea of it.
 * Source: the same specification, appendix "CHS Calculation".
 */
export function vhdGeometry(total: number): { cylinders: number; heads: number; sectors: number } {
  const capped = Math.min(total, 65535 * 16 * 255)
  let sectors = 17
  let heads = Math.max(Math.ceil(Math.floor(capped / sectors) / 1024), 4)
  const tracks = () => Math.floor(capped / sectors)
  if (capped >= 65535 * 16 * 63) {
    sectors = 255
    heads = 16
  } else {
    if (heads > 16 || tracks() >= heads * 1024) {
      sectors = 31
      heads = 16
    }
    if (tracks() >= heads * 1024) {
      sectors = 63
      heads = 16
    }
  }
  return { cylinders: Math.floor(tracks() / heads), heads, sectors }
}
