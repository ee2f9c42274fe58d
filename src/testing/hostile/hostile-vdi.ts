import { GiB, KiB, MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import { byte, cut, familyOf, type HostileImage, le32, le64, put } from './hostile-image.ts'

const MAP = 512

/** Lies in VDI files. */
export function hostileVdi({ vdi }: BaseImages): HostileImage[] {
  return familyOf('vdi', 'vdi', vdi, [
    ['another version', 'FORMAT_VERSION', le32(0x44, 0x20001)],
    ['version 0', 'FORMAT_VERSION', le32(0x44, 0)],
    ['a header that is too short', 'HEADER_INVALID', le32(0x48, 0x20)],
    ['an undo image', ['PARENT', 'FORMAT_UNSUPPORTED'], le32(0x4c, 3)],
    ['a differencing image', 'PARENT', le32(0x4c, 4)],
    ['an unknown type', ['HEADER_INVALID', 'UNKNOWN_FEATURE', 'FORMAT_UNSUPPORTED'], le32(0x4c, 9)],
    ['a parent', 'PARENT', put(0x1b8, Buffer.alloc(16, 7))],
    ['a link', 'PARENT', put(0x1a8, Buffer.alloc(16, 7))],
    ['an unaligned map', 'MISALIGNED', le32(0x154, 700)],
    ['a map in the header', ['OVERLAP', 'HEADER_INVALID', 'MISALIGNED'], le32(0x154, 0)],
    ['a map past the end', 'TRUNCATED', le32(0x154, 0x7ffffe00)],
    ['unaligned data', 'MISALIGNED', le32(0x158, 5000)],
    ['data on the map', 'OVERLAP', le32(0x158, 512)],
    ['data past the end', 'TRUNCATED', le32(0x158, 0xfffffe00)],
    ['sectors of 4096 bytes', ['HEADER_INVALID', 'FORMAT_UNSUPPORTED'], le32(0x168, 4096)],
    ['a disk larger than its blocks', ['SIZE_MISMATCH', 'TABLE_TOO_SMALL'], le64(0x170, 4 * GiB)],
    [
      'a disk of 2^63 bytes',
      ['SIZE_LIMIT', 'OUT_OF_RANGE', 'SIZE_MISMATCH'],
      le64(0x170, 2n ** 63n),
    ],
    ['blocks of no bytes', ['HEADER_INVALID', 'FORMAT_UNSUPPORTED'], le32(0x178, 0)],
    ['blocks of 3 bytes', ['HEADER_INVALID', 'FORMAT_UNSUPPORTED'], le32(0x178, 3)],
    [
      'blocks of 2 GiB',
      ['HEADER_INVALID', 'FORMAT_UNSUPPORTED', 'SIZE_MISMATCH'],
      le32(0x178, 2 ** 31),
    ],
    ['2^32 - 1 blocks', ['TABLE_TOO_LARGE', 'SIZE_MISMATCH'], le32(0x180, 0xffffffff)],
    ['no blocks', ['TABLE_TOO_SMALL', 'SIZE_MISMATCH'], le32(0x180, 0)],
    ['more blocks in use than there are', ['OUT_OF_RANGE', 'SIZE_MISMATCH'], le32(0x184, 5000)],
    ['a block in use that is not counted', ['OUT_OF_RANGE', 'SIZE_MISMATCH'], le32(0x184, 1)],
    ['one block twice', 'OVERLAP', le32(MAP + 4, 0), le32(0x184, 3)],
    ['a block past the end', ['TRUNCATED', 'OUT_OF_RANGE'], le32(MAP, 5000)],
    ['a block at 2^31', ['TRUNCATED', 'OUT_OF_RANGE'], le32(MAP, 2 ** 31)],
    ['a block at the last valid number', ['TRUNCATED', 'OUT_OF_RANGE'], le32(MAP, 0xfffffffd)],
    ['cut in the last block', 'TRUNCATED', cut(-4096)],
    ['cut in the map', 'TRUNCATED', cut(1024)],
    ['cut in the header', 'TRUNCATED', cut(300)],
    ['a wrong signature', ['CLAIM_MISMATCH'], byte(0x40, 0)],
    ['data that begins in the middle of the map', 'OVERLAP', le32(0x158, 2 * KiB)],
    [
      'blocks of 2 MiB, but as many',
      ['SIZE_MISMATCH', 'TRUNCATED', 'FORMAT_UNSUPPORTED', 'TABLE_TOO_LARGE', 'HEADER_INVALID'],
      le32(0x178, 2 * MiB),
    ],
  ])
}
