import type { BaseImages } from './base-images.ts'
import {
  byte,
  cut,
  type Edit,
  familyOf,
  type HostileImage,
  le32,
  le64,
  put,
  replaceText,
} from './hostile-image.ts'

/** The descriptor: 20 sectors behind the header. */
const TEXT = [512, 512 + 20 * 512] as const
const text = (from: string, to: string): Edit => replaceText(TEXT, from, to)
const append = (line: string): Edit => text('ddb.virtualHWVersion', `${line}\nddb.virtualHWVersion`)

/** Another text in its place. */
const inText = (change: (text: string) => string): Edit => {
  return (file) => {
    const old = file.toString('latin1', ...TEXT).replace(/\0+$/, '')
    file.fill(0, ...TEXT)
    file.write(change(old).slice(0, TEXT[1] - TEXT[0]), TEXT[0], 'latin1')
  }
}
/** Some readers stop at the first NUL, others do not. */
const behind = (more: string): Edit => inText((old) => old + more)
const BEHIND = ['DESCRIPTOR_INVALID', 'EXTERNAL_REFERENCE', 'PARENT', 'UNUSED_BYTES'] as const
const DESCRIPTOR = [
  'DESCRIPTOR_INVALID',
  'EXTERNAL_REFERENCE',
  'UNKNOWN_FEATURE',
  'PARENT',
  'SIZE_MISMATCH',
] as const

/** Where the grain directory and the first grain table stand. */
const directoryOf = (file: Buffer) => Number(file.readBigUInt64LE(56)) * 512
const tableOf = (file: Buffer) => file.readUInt32LE(directoryOf(file)) * 512
const inDirectory = (edit: (at: number, file: Buffer) => Edit): Edit => {
  return (file) => edit(directoryOf(file), file)(file)
}
/** A change of a grain table and of its redundant copy. */
const inTables = (edit: (at: number, file: Buffer) => Edit): Edit => {
  return (file) => {
    const copy = file.readUInt32LE(Number(file.readBigUInt64LE(48)) * 512) * 512
    const main = tableOf(file)
    edit(main, file)(file)
    edit(copy, file)(file)
  }
}

/** A text file that names others, padded to whole sectors. */
function descriptor(type: string, extent: string, more = ''): Buffer {
  const lines = `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="${type}"\n${more}\n${extent}\n`
  return Buffer.from(lines.padEnd(1024, '\0'), 'latin1')
}

/** Lies in VMDK files. */
export function hostileVmdk({ vmdk, vmdkStream }: BaseImages): HostileImage[] {
  const header = familyOf('vmdk', 'vmdk', vmdk, [
    ['version 4', 'FORMAT_VERSION', le32(4, 4)],
    ['version 0', 'FORMAT_VERSION', le32(4, 0)],
    ['unknown flags', ['UNKNOWN_FEATURE', 'HEADER_INVALID'], le32(8, 0x80000003)],
    ['damaged newlines', ['HEADER_INVALID', 'DIRTY'], put(73, '\n\n\n\n')],
    ['not closed cleanly', 'DIRTY', byte(72, 1)],
    [
      'a disk of 2^63 sectors',
      ['SIZE_LIMIT', 'OUT_OF_RANGE', 'SIZE_MISMATCH'],
      le64(12, 2n ** 63n),
    ],
    [
      'a disk of 2^55 sectors',
      ['SIZE_LIMIT', 'OUT_OF_RANGE', 'SIZE_MISMATCH', 'TABLE_TOO_LARGE'],
      le64(12, 2n ** 45n),
    ],
    ['grains of no bytes', ['HEADER_INVALID', 'OUT_OF_RANGE'], le64(20, 0)],
    ['grains of 3 sectors', ['HEADER_INVALID', 'OUT_OF_RANGE'], le64(20, 3)],
    ['grains of 2^40 sectors', ['HEADER_INVALID', 'OUT_OF_RANGE'], le64(20, 2 ** 40)],
    ['tables of no entries', ['HEADER_INVALID', 'OUT_OF_RANGE'], le32(44, 0)],
    ['tables of 2^32 - 1 entries', ['HEADER_INVALID', 'OUT_OF_RANGE'], le32(44, 0xffffffff)],
    ['an unknown compression', ['UNKNOWN_FEATURE', 'HEADER_INVALID'], byte(77, 9)],
    ['a directory past the end', 'TRUNCATED', le64(56, 2 ** 34)],
    ['a directory at 2^63', ['TRUNCATED', 'OUT_OF_RANGE'], le64(56, 2n ** 63n)],
    ['a directory in the header', ['OVERLAP', 'OUT_OF_RANGE', 'HEADER_INVALID'], le64(56, 0)],
    ['a redundant directory past the end', 'TRUNCATED', le64(48, 2 ** 34)],
    [
      'a descriptor past the end',
      ['TRUNCATED', 'HEADER_INVALID', 'OUT_OF_RANGE'],
      le64(28, 2 ** 34),
    ],
    [
      'a descriptor of 2^40 sectors',
      ['TABLE_TOO_LARGE', 'OUT_OF_RANGE', 'HEADER_INVALID', 'OVERLAP', 'DESCRIPTOR_INVALID'],
      le64(36, 2 ** 40),
    ],
    [
      'no descriptor',
      ['HEADER_INVALID', 'DESCRIPTOR_INVALID', 'OUT_OF_RANGE', 'FORMAT_UNSUPPORTED'],
      le64(28, 0),
      le64(36, 0),
    ],
  ])
  const texts = familyOf('vmdk descriptor', 'vmdk', vmdk, [
    ['another file by its path', 'EXTERNAL_REFERENCE', text('"image"', '"/etc/passwd"')],
    ['another file by a relative path', 'EXTERNAL_REFERENCE', text('"image"', '"../../secret"')],
    [
      'a flat extent',
      ['EXTERNAL_REFERENCE', 'FORMAT_UNSUPPORTED'],
      text(' SPARSE "image"', ' FLAT "/etc/passwd" 0'),
    ],
    [
      'a second extent',
      ['EXTERNAL_REFERENCE', 'DESCRIPTOR_INVALID', 'SIZE_MISMATCH'],
      append('RW 2048 FLAT "/etc/shadow" 0'),
    ],
    [
      'a second sparse extent',
      ['EXTERNAL_REFERENCE', 'DESCRIPTOR_INVALID', 'SIZE_MISMATCH'],
      append('RW 2048 SPARSE "b.vmdk"'),
    ],
    ['no extent', ['DESCRIPTOR_INVALID'], text('RW 2097152 SPARSE "image"', '')],
    ['a parent', 'PARENT', text('parentCID=ffffffff', 'parentCID=12345678')],
    ['the name of a parent', 'PARENT', append('parentFileNameHint="/etc/passwd"')],
    [
      'the type of a flat disk',
      ['FORMAT_UNSUPPORTED', 'EXTERNAL_REFERENCE'],
      text('monolithicSparse', 'monolithicFlat'),
    ],
    [
      'the type of a split disk',
      ['FORMAT_UNSUPPORTED', 'EXTERNAL_REFERENCE'],
      text('monolithicSparse', 'twoGbMaxExtentSparse'),
    ],
    [
      'the type of a device',
      ['FORMAT_UNSUPPORTED', 'EXTERNAL_REFERENCE'],
      text('monolithicSparse', 'fullDevice'),
    ],
    [
      'an unknown type',
      ['FORMAT_UNSUPPORTED', 'DESCRIPTOR_INVALID', 'UNKNOWN_FEATURE'],
      text('monolithicSparse', 'somethingNew'),
    ],
    ['no type', 'DESCRIPTOR_INVALID', text('createType="monolithicSparse"', '')],
    [
      'a line nobody knows',
      ['UNKNOWN_FEATURE', 'DESCRIPTOR_INVALID'],
      append('include="/etc/passwd"'),
    ],
    ['another size than the header', 'SIZE_MISMATCH', text('RW 2097152', 'RW 4096')],
    [
      'change tracking in a file',
      ['EXTERNAL_REFERENCE', 'UNKNOWN_FEATURE', 'DESCRIPTOR_INVALID'],
      append('changeTrackPath="/tmp/x"'),
    ],
    ['another extent behind a NUL', BEHIND, behind('\0RW 2048 FLAT "/etc/passwd" 0\n')],
    ['a parent behind a NUL', BEHIND, behind('\0parentCID=12345678\n')],
    [
      'text in UTF-16',
      'DESCRIPTOR_INVALID',
      inText((old) => Buffer.from(old, 'latin1').toString('utf16le')),
    ],
    ['lines that end in CR alone', DESCRIPTOR, inText((old) => old.replaceAll('\n', '\r'))],
    ['a line of 9000 characters', DESCRIPTOR, append('x'.repeat(9000))],
    ['two types', DESCRIPTOR, append('createType="monolithicFlat"')],
    ['two parents, of which one is none', DESCRIPTOR, append('parentCID=12345678')],
    ['a key in capitals', DESCRIPTOR, append('PARENTCID=12345678')],
    ['a parent in a comment', DESCRIPTOR, append('# parentFileNameHint="/etc/passwd"')],
    [
      'an extent of no sectors',
      ['SIZE_MISMATCH', 'DESCRIPTOR_INVALID'],
      text('RW 2097152', 'RW 0'),
    ],
    ['an extent that nobody may read', DESCRIPTOR, text('RW 2097152', 'NOACCESS 2097152')],
    ['an extent from its middle on', DESCRIPTOR, text('SPARSE "image"', 'SPARSE "image" 128')],
    ['an extent in small letters', DESCRIPTOR, append('rw 2048 flat "/etc/passwd" 0')],
    ['an extent behind tabs', DESCRIPTOR, append('\t\tRW\t2048\tFLAT\t"/etc/passwd"\t0')],
    ['an extent without quotes', DESCRIPTOR, append('RW 2048 FLAT /etc/passwd 0')],
    ['an extent of 2^70 sectors', DESCRIPTOR, text('RW 2097152', 'RW 1180591620717411303424')],
    ['another version', ['FORMAT_VERSION', 'DESCRIPTOR_INVALID'], text('version=1', 'version=9')],
    [
      'a key for encryption',
      ['ENCRYPTED', 'UNKNOWN_FEATURE'],
      append('encryption.keySafe = "vmware:key/list"'),
    ],
    ['a native snapshot', 'PARENT', append('isNativeSnapshot="yes"')],
    ['no text at all', 'DESCRIPTOR_INVALID', (file) => void file.fill(0, TEXT[0], TEXT[1])],
    ['random bytes', 'DESCRIPTOR_INVALID', (file) => void file.fill(0xe1, TEXT[0], TEXT[1])],
  ])
  const tables = familyOf('vmdk tables', 'vmdk', vmdk, [
    [
      'a table past the end',
      ['TRUNCATED', 'COPIES_DIFFER'],
      inDirectory((at) => le32(at, 0x7fffffff)),
    ],
    [
      'one table twice',
      ['OVERLAP', 'COPIES_DIFFER'],
      inDirectory((at, file) => le32(at + 4, file.readUInt32LE(at))),
    ],
    ['a table on the header', ['OVERLAP', 'COPIES_DIFFER'], inDirectory((at) => le32(at, 0))],
    ['a table on the descriptor', ['OVERLAP', 'COPIES_DIFFER'], inDirectory((at) => le32(at, 2))],
    ['a grain past the end', 'TRUNCATED', inTables((at) => le32(at, 0x7fffffff))],
    ['one grain twice', 'OVERLAP', inTables((at, file) => le32(at + 8, file.readUInt32LE(at)))],
    ['a grain on the header', ['OVERLAP', 'ENTRY_INVALID'], inTables((at) => le32(at, 1))],
    ['a grain on its table', ['OVERLAP'], inTables((at) => le32(at, at / 512))],
    ['tables and copies that differ', 'COPIES_DIFFER', (file) => le32(tableOf(file), 0)(file)],
    ['cut in the last grain', 'TRUNCATED', cut(-4096)],
    ['cut in the tables', 'TRUNCATED', cut(20 * 1024)],
    ['cut in the descriptor', 'TRUNCATED', cut(2000)],
  ])
  const stream = familyOf('vmdk stream', 'vmdk', vmdkStream, [
    [
      'cut in the middle',
      'TRUNCATED',
      (file) => file.subarray(0, Math.floor((file.length * 2) / 3 / 512) * 512),
    ],
    [
      'a grain past the disk',
      ['OUT_OF_RANGE', 'COPIES_DIFFER', 'SIZE_MISMATCH'],
      (file) => le64(firstGrain(file), 2 ** 40)(file),
    ],
    [
      'a grain of 2^31 bytes',
      ['OUT_OF_RANGE', 'TRUNCATED', 'OVERLAP', 'CONTENT_DAMAGED'],
      (file) => le32(firstGrain(file) + 8, 2 ** 31)(file),
    ],
    [
      'said to be uncompressed',
      [
        'HEADER_INVALID',
        'DESCRIPTOR_INVALID',
        'UNKNOWN_FEATURE',
        'SIZE_MISMATCH',
        'FORMAT_UNSUPPORTED',
      ],
      le32(8, 3),
      byte(77, 0),
    ],
    ['another file by its path', 'EXTERNAL_REFERENCE', text('"image"', '"/etc/passwd"')],
  ])
  const files: HostileImage[] = (
    [
      ['monolithicFlat', 'RW 2048 FLAT "/etc/passwd" 0'],
      ['monolithicFlat', 'RW 2048 FLAT "disk-flat.vmdk" 0'],
      ['twoGbMaxExtentFlat', 'RW 2048 FLAT "disk-f001.vmdk" 0'],
      ['twoGbMaxExtentSparse', 'RW 2048 SPARSE "disk-s001.vmdk"'],
      ['vmfs', 'RW 2048 VMFS "disk-flat.vmdk"'],
      ['vmfsSparse', 'RW 2048 VMFSSPARSE "disk-delta.vmdk"'],
      ['vmfsRawDeviceMap', 'RW 2048 VMFSRDM "disk-rdm.vmdk"'],
      ['fullDevice', 'RW 2048 FLAT "/dev/sda" 0'],
      ['partitionedDevice', 'RW 2048 FLAT "/dev/sda1" 0'],
      ['custom', 'RW 2048 ZERO'],
    ] as const
  ).flatMap(([type, extent]) =>
    (['vmdk', 'raw'] as const).map((claim) => ({
      name: `vmdk text: ${type}, ${extent}, said to be ${claim}`,
      claim,
      codes: ['EXTERNAL_REFERENCE', 'CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED'] as const,
      make: () => descriptor(type, extent),
    })),
  )
  const comments = familyOf(
    'vmdk text',
    'raw',
    descriptor('monolithicFlat', 'RW 2048 FLAT "/etc/passwd" 0'),
    [
      [
        'after comments and blank lines',
        ['CLAIM_MISMATCH', 'EXTERNAL_REFERENCE', 'FORMAT_UNSUPPORTED'],
        (file) =>
          Buffer.concat([
            Buffer.from('# a\n\n   \n#b\n'),
            file.subarray(0, 1024 - 12),
            Buffer.alloc(0),
          ]),
      ],
      [
        'that begins with its version',
        ['CLAIM_MISMATCH', 'EXTERNAL_REFERENCE', 'FORMAT_UNSUPPORTED'],
        (file) => Buffer.concat([file.subarray(22), Buffer.alloc(22)]),
      ],
    ],
  )
  return [...header, ...texts, ...tables, ...stream, ...files, ...comments]
}

/** The first grain of a stream-optimised file: its marker has the number of a sector and a length. */
function firstGrain(file: Buffer): number {
  return file.readUInt32LE(tableOf(file)) * 512
}
