import { vmdkStream } from '../vmdk-stream.ts'
import { cut, familyOf, type HostileImage, le32, le64, put } from './hostile-image.ts'

/** A disk of three grains in the layout with markers and a footer. */
const MARKED = vmdkStream(Buffer.concat([1, 2, 3].map((value) => Buffer.alloc(64 * 1024, value))))

/** Lies in compressed VMDK files whose directory and footer stand at the end. */
export function hostileVmdkMarkers(): HostileImage[] {
  const { grains, tables: places, directory, footer, end } = MARKED
  const inFooter = (at: number) => footer + 512 + at
  return familyOf('vmdk markers', 'vmdk', MARKED.bytes, [
    ['no end', ['TRUNCATED', 'HEADER_INVALID', 'COPIES_DIFFER', 'OUT_OF_RANGE'], cut(-512)],
    ['no footer', ['TRUNCATED', 'HEADER_INVALID', 'COPIES_DIFFER', 'OUT_OF_RANGE'], cut(footer)],
    ['a footer of another disk', ['COPIES_DIFFER', 'SIZE_MISMATCH'], le64(inFooter(12), 4096)],
    ['a footer with other grains', ['COPIES_DIFFER', 'HEADER_INVALID'], le64(inFooter(20), 64)],
    ['a footer with other flags', ['COPIES_DIFFER', 'UNKNOWN_FEATURE'], le32(inFooter(8), 0x30005)],
    ['a footer of another version', ['COPIES_DIFFER', 'FORMAT_VERSION'], le32(inFooter(4), 1)],
    ['a footer with another descriptor', ['COPIES_DIFFER', 'OVERLAP'], le64(inFooter(28), 3)],
    [
      'a footer that is none',
      ['COPIES_DIFFER', 'HEADER_INVALID', 'TRUNCATED'],
      put(inFooter(0), 'XXXX'),
    ],
    [
      'a directory past the end',
      ['TRUNCATED', 'COPIES_DIFFER', 'OUT_OF_RANGE'],
      le64(inFooter(56), 2 ** 34),
    ],
    [
      'a directory elsewhere',
      ['COPIES_DIFFER', 'OVERLAP', 'ENTRY_INVALID'],
      le64(inFooter(56), 130),
    ],
    [
      'an unknown marker',
      ['UNKNOWN_FEATURE', 'ENTRY_INVALID', 'HEADER_INVALID'],
      le32(directory + 12, 77),
    ],
    [
      'a marker of 2^31 sectors',
      ['OUT_OF_RANGE', 'TRUNCATED', 'SIZE_MISMATCH', 'ENTRY_INVALID', 'TABLE_TOO_LARGE'],
      le64(places[0]!, 2 ** 31),
    ],
    [
      'a marker of 2^63 sectors',
      ['OUT_OF_RANGE', 'TRUNCATED', 'SIZE_MISMATCH', 'ENTRY_INVALID', 'TABLE_TOO_LARGE'],
      le64(directory, 2n ** 63n),
    ],
    [
      'a grain twice',
      ['OVERLAP', 'COPIES_DIFFER', 'OUT_OF_RANGE'],
      (file) => le64(grains[1]!, file.readBigUInt64LE(grains[0]))(file),
    ],
    [
      'a grain between grains',
      ['OUT_OF_RANGE', 'ENTRY_INVALID', 'MISALIGNED', 'COPIES_DIFFER'],
      le64(grains[1]!, 7),
    ],
    ['a grain past the disk', ['OUT_OF_RANGE', 'COPIES_DIFFER'], le64(grains[1]!, 2 ** 30)],
    [
      'a grain of no bytes',
      ['OUT_OF_RANGE', 'ENTRY_INVALID', 'COPIES_DIFFER', 'UNKNOWN_FEATURE', 'TRUNCATED'],
      le32(grains[1]! + 8, 0),
    ],
    [
      'a grain longer than it is',
      ['OVERLAP', 'COPIES_DIFFER', 'TRUNCATED'],
      le32(grains[0]! + 8, 60_000),
    ],
    ['a grain that is no zlib', 'CONTENT_DAMAGED', put(grains[0]! + 12, Buffer.alloc(20, 0xee))],
    [
      'a table that names another grain',
      ['COPIES_DIFFER', 'OVERLAP'],
      (file) => le32(places[0]! + 512, file.readUInt32LE(places[0]! + 512 + 4))(file),
    ],
    [
      'a table that names no grain',
      ['COPIES_DIFFER', 'OVERLAP', 'TRUNCATED'],
      le32(places[0]! + 512, 1_000_000),
    ],
    [
      'content behind its end',
      ['UNUSED_BYTES', 'TRUNCATED', 'COPIES_DIFFER', 'HEADER_INVALID'],
      (file) => Buffer.concat([file, Buffer.alloc(4096, 1)]),
    ],
    [
      'an end that is none',
      [
        'TRUNCATED',
        'HEADER_INVALID',
        'COPIES_DIFFER',
        'ENTRY_INVALID',
        'UNKNOWN_FEATURE',
        'OUT_OF_RANGE',
      ],
      put(end, Buffer.alloc(512, 1)),
    ],
  ])
}
