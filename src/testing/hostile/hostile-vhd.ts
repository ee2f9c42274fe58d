import { GiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import {
  append,
  be16,
  be32,
  be64,
  byte,
  cut,
  type Edit,
  familyOf,
  type HostileImage,
  put,
} from './hostile-image.ts'

const HEADER = 512
const BAT = 1536

/** Makes the check sums of both footers and of the header right again, so that only the lie is wrong. */
const seal: Edit = (file) => {
  sum(file, 0, 512, 64)
  sum(file, HEADER, 1024, 36)
  if (file.length >= 4096) sum(file, file.length - 512, 512, 64)
}
const sealFixed: Edit = (file) => sum(file, file.length - 512, 512, 64)

function sum(file: Buffer, start: number, length: number, at: number): void {
  file.writeUInt32BE(0, start + at)
  let total = 0
  for (const value of file.subarray(start, start + length)) total += value
  file.writeUInt32BE(~total >>> 0, start + at)
}

/** The same change in both footers of a dynamic disk. */
const inBoth = (edit: (at: number) => Edit): Edit => {
  return (file) => {
    edit(0)(file)
    edit(file.length - 512)(file)
  }
}

/** Lies in VHD files. */
export function hostileVhd({ vhd, vhdFixed }: BaseImages): HostileImage[] {
  const footers = familyOf(
    'vhd',
    'vhd',
    vhd,
    [
      ['a differencing disk', 'PARENT', inBoth((at) => be32(at + 60, 4))],
      [
        'an unknown type',
        ['HEADER_INVALID', 'UNKNOWN_FEATURE', 'FORMAT_UNSUPPORTED'],
        inBoth((at) => be32(at + 60, 6)),
      ],
      ['a parent’s identifier', 'PARENT', put(HEADER + 40, Buffer.alloc(16, 9))],
      [
        'a parent’s name',
        'PARENT',
        put(HEADER + 64, Buffer.from('/\0e\0t\0c\0', 'latin1').swap16()),
      ],
      ['a parent locator', 'PARENT', put(HEADER + 576, 'W2ku'), be32(HEADER + 576 + 4, 1)],
      ['saved state', 'DIRTY', inBoth((at) => byte(at + 84, 1))],
      ['another version', 'FORMAT_VERSION', inBoth((at) => be32(at + 12, 0x20000))],
      ['a header of another version', 'FORMAT_VERSION', be32(HEADER + 24, 0x30000)],
      ['no header', ['HEADER_INVALID', 'DESCRIPTOR_INVALID'], put(HEADER, 'nothing!')],
      [
        'a header past the end',
        ['TRUNCATED', 'HEADER_INVALID'],
        inBoth((at) => be64(at + 16, 2 ** 42)),
      ],
      [
        'a header in its footer',
        ['OVERLAP', 'HEADER_INVALID', 'MISALIGNED'],
        inBoth((at) => be64(at + 16, 0)),
      ],
      ['a table past the end', 'TRUNCATED', be64(HEADER + 16, 2 ** 41)],
      ['a table at 2^63', ['TRUNCATED', 'OUT_OF_RANGE'], be64(HEADER + 16, 2n ** 63n)],
      ['a table on the header', 'OVERLAP', be64(HEADER + 16, 512)],
      ['2^32 - 1 blocks', ['TABLE_TOO_LARGE', 'TRUNCATED'], be32(HEADER + 28, 0xffffffff)],
      ['too few blocks', 'TABLE_TOO_SMALL', be32(HEADER + 28, 10)],
      ['blocks of no bytes', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(HEADER + 32, 0)],
      ['blocks of 3 bytes', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(HEADER + 32, 3)],
      ['blocks of 4 GiB - 512', ['HEADER_INVALID', 'OUT_OF_RANGE'], be32(HEADER + 32, 0xfffffe00)],
      [
        'a disk of 3 TiB',
        ['SIZE_LIMIT', 'TABLE_TOO_SMALL', 'OUT_OF_RANGE'],
        inBoth((at) => be64(at + 48, 3072 * GiB)),
      ],
      [
        'a disk of 2^63 bytes',
        ['SIZE_LIMIT', 'TABLE_TOO_SMALL', 'OUT_OF_RANGE'],
        inBoth((at) => be64(at + 48, 2n ** 63n)),
      ],
      [
        'a disk that is no whole sectors',
        ['HEADER_INVALID', 'MISALIGNED'],
        inBoth((at) => be64(at + 48, GiB - 3)),
      ],
      ['one block twice', 'OVERLAP', be32(BAT + 4, 7)],
      ['a block on the header', 'OVERLAP', be32(BAT, 1)],
      ['a block on the table', 'OVERLAP', be32(BAT, 3)],
      ['a block on the first footer', 'OVERLAP', be32(BAT, 0)],
      ['a block past the end', 'TRUNCATED', be32(BAT, 0x7fffffff)],
      [
        'a block on the last footer',
        ['TRUNCATED', 'OVERLAP'],
        (file) => be32(BAT, file.length / 512 - 4096)(file),
      ],
      ['a footer and its copy that differ', ['COPIES_DIFFER'], be64(48, GiB - 1024 * 1024)],
      [
        'no footer at the end',
        ['TRUNCATED', 'COPIES_DIFFER', 'CHECKSUM', 'HEADER_INVALID'],
        cut(-512),
      ],
      [
        'cut in the last block',
        ['TRUNCATED', 'COPIES_DIFFER', 'CHECKSUM', 'HEADER_INVALID'],
        cut(-8192),
      ],
    ],
    seal,
  )
  const sums = familyOf('vhd', 'vhd', vhd, [
    ['a wrong check sum of the first footer', ['CHECKSUM'], be32(64, 1)],
    ['a wrong check sum of the header', ['CHECKSUM'], be32(HEADER + 36, 1)],
    ['cut in the table', 'TRUNCATED', cut(1800)],
  ])
  const fixed = familyOf(
    'vhd fixed',
    'vhd',
    vhdFixed,
    [
      [
        'larger than the file',
        ['SIZE_MISMATCH', 'TRUNCATED'],
        (file) => be64(file.length - 512 + 48, GiB)(file),
      ],
      [
        'smaller than the file',
        ['SIZE_MISMATCH'],
        (file) => be64(file.length - 512 + 48, 4096)(file),
      ],
      [
        'a header offset in a fixed disk',
        ['HEADER_INVALID'],
        (file) => be64(file.length - 512 + 16, 512)(file),
      ],
      ['a differencing disk', ['PARENT'], (file) => be32(file.length - 512 + 60, 4)(file)],
      ['saved state', ['DIRTY'], (file) => byte(file.length - 512 + 84, 1)(file)],
      [
        'another version',
        ['FORMAT_VERSION'],
        (file) => be32(file.length - 512 + 12, 0x20000)(file),
      ],
    ],
    sealFixed,
  )
  const broken = familyOf('vhd fixed', 'vhd', vhdFixed, [
    [
      'a wrong check sum',
      ['CHECKSUM', 'CLAIM_MISMATCH'],
      (file) => be16(file.length - 512 + 64, 1)(file),
    ],
    ['without its footer', ['CLAIM_MISMATCH', 'TRUNCATED'], cut(-512)],
    ['a qcow2 header in front', ['AMBIGUOUS_FORMAT', 'NESTED_FORMAT'], put(0, 'QFI\xfb\0\0\0\x03')],
  ])
  const raw = familyOf('vhd fixed', 'raw', vhdFixed, [
    ['said to be raw', ['CLAIM_MISMATCH', 'AMBIGUOUS_FORMAT'], append(Buffer.alloc(0))],
  ])
  return [...footers, ...sums, ...fixed, ...broken, ...raw]
}
