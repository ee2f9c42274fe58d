import { withVmdkFooter } from '../vmdk-footer.ts'
import type { BaseImages } from './base-images.ts'
import { cut, type Edit, familyOf, type HostileImage, le32, le64, put } from './hostile-image.ts'

/** Bytes from the end of the file. */
const MARKER = -1536
const FOOTER = -1024
const END = -512
const atEnd = (at: number, edit: (at: number) => Edit): Edit => {
  return (file) => edit(file.length + at)(file)
}
/** A directory of the footer; `sector` is asked what the file is. */
const directoryAt = (sector: (file: Buffer) => number | bigint): Edit => {
  return (file) => le64(file.length + FOOTER + 56, sector(file))(file)
}
const NONE = ['HEADER_INVALID', 'TRUNCATED', 'OVERLAP', 'MISALIGNED', 'COPIES_DIFFER'] as const

/** Lies in VMDK files, compressed and not, whose header leaves it to a footer to say where the directory is. */
export function hostileVmdkFooters({ vmdk, vmdkStream }: BaseImages): HostileImage[] {
  return [
    ...liesIn('vmdk footer', withVmdkFooter(vmdk)),
    ...liesIn('vmdk footer alone', withVmdkFooter(vmdk, { redundant: false })),
    ...liesIn('vmdk stream footer', withVmdkFooter(vmdkStream)),
  ]
}

function liesIn(family: string, base: Buffer): HostileImage[] {
  return familyOf(family, 'vmdk', base, [
    ['no footer', NONE, cut(MARKER)],
    ['half a footer', NONE, cut(FOOTER)],
    ['no end', NONE, cut(END)],
    ['cut in the end', NONE, cut(-100)],
    ['more behind the end', NONE, (file) => Buffer.concat([file, Buffer.alloc(512, 1)])],
    ['zeros behind the end', NONE, (file) => Buffer.concat([file, Buffer.alloc(4096)])],
    ['the marker of a table', 'HEADER_INVALID', atEnd(MARKER + 12, (at) => le32(at, 1))],
    ['a marker of 2^63 sectors', 'HEADER_INVALID', atEnd(MARKER, (at) => le64(at, 2n ** 63n))],
    ['a marker of a grain', 'HEADER_INVALID', atEnd(MARKER + 8, (at) => le32(at, 512))],
    ['a footer that is none', 'HEADER_INVALID', atEnd(FOOTER, (at) => put(at, 'XXXX'))],
    ['an end that is none', 'COPIES_DIFFER', atEnd(END, (at) => le32(at, 7))],
    [
      'a footer of another disk',
      ['COPIES_DIFFER', 'SIZE_MISMATCH'],
      atEnd(FOOTER + 12, (at) => le64(at, 4096)),
    ],
    ['a footer with other grains', 'COPIES_DIFFER', atEnd(FOOTER + 20, (at) => le64(at, 64))],
    [
      'a footer of other flags',
      ['COPIES_DIFFER', 'UNKNOWN_FEATURE'],
      atEnd(FOOTER + 8, (at) => le32(at, 7)),
    ],
    [
      'a footer with another redundant directory',
      'COPIES_DIFFER',
      atEnd(FOOTER + 48, (at) => le64(at, 30)),
    ],
    ['a footer with another descriptor', 'COPIES_DIFFER', atEnd(FOOTER + 28, (at) => le64(at, 3))],
    ['a footer that leaves it to a footer', 'HEADER_INVALID', directoryAt(() => 2n ** 64n - 1n)],
    ['a directory in the footer', 'OVERLAP', directoryAt((file) => (file.length + FOOTER) / 512)],
    ['a directory in the end', 'OVERLAP', directoryAt((file) => (file.length + END) / 512)],
    ['a directory at the end', 'TRUNCATED', directoryAt((file) => file.length / 512)],
    ['a directory past the end', 'TRUNCATED', directoryAt(() => 2 ** 34)],
    ['a directory at 2^63', ['OUT_OF_RANGE', 'TRUNCATED'], directoryAt(() => 2n ** 63n)],
    ['a directory in the header', 'OVERLAP', directoryAt(() => 0)],
    ['a directory in the descriptor', 'OVERLAP', directoryAt(() => 1)],
  ])
}
