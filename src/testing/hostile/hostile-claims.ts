import { MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import type { HostileImage } from './hostile-image.ts'
import { vhdFooterLike } from './hostile-qcow2.ts'

const LIE = ['CLAIM_MISMATCH', 'AMBIGUOUS_FORMAT', 'FORMAT_UNSUPPORTED'] as const
const AMBIGUOUS = ['AMBIGUOUS_FORMAT', 'CLAIM_MISMATCH', 'NESTED_FORMAT'] as const

/** A disk of 1 MiB that begins, or ends, with some bytes. */
function diskWith(head: string | Uint8Array, at = 0): Buffer {
  const disk = Buffer.alloc(MiB)
  const bytes = typeof head === 'string' ? Buffer.from(head, 'latin1') : head
  disk.set(bytes, at < 0 ? disk.length + at : at)
  return disk
}

/** A primary volume descriptor, so that programs take it for a CD of `blocks` of 2 KiB. */
export function isoOf(blocks: number, size = blocks): Buffer {
  const disc = Buffer.alloc(size * 2048)
  disc.write('\x01CD001\x01', 32768, 'latin1')
  disc.writeUInt32LE(blocks, 32768 + 80)
  disc.writeUInt32BE(blocks, 32768 + 84)
  disc.writeUInt16LE(2048, 32768 + 128)
  disc.writeUInt16BE(2048, 32768 + 130)
  disc.write('\xffCD001\x01', 34816, 'latin1')
  return disc
}

/** The disc with the first sectors of another file in its system area. */
function headOf(disc: Buffer, head: Buffer): Buffer {
  disc.set(head.subarray(0, 4096), 0)
  return disc
}

/** Files that are not what they are said to be, or two things at once, or a format nobody may send. */
export function hostileClaims(bases: BaseImages): HostileImage[] {
  const files = {
    raw: bases.raw,
    qcow2: bases.qcow2,
    vdi: bases.vdi,
    vhd: bases.vhd,
    vhdx: bases.vhdx,
    vmdk: bases.vmdk,
    iso: isoOf(64),
  }
  const formats = Object.keys(files) as (keyof typeof files)[]
  const crossed = formats.flatMap((claim) =>
    formats
      .filter((format) => format !== claim)
      .map((format) => ({
        name: `claims: ${format} said to be ${claim}`,
        claim,
        codes: LIE,
        make: () => files[format],
      })),
  )
  const cloud = (['ami', 'aki', 'ari'] as const).flatMap((claim) =>
    formats.map((format) => ({
      name: `claims: ${format} said to be ${claim}`,
      claim,
      codes: LIE,
      make: () => files[format],
    })),
  )
  const foreign = (
    [
      ['QED', diskWith('QED\0')],
      ['qcow 1', diskWith('QFI\xfb\0\0\0\x01')],
      ['Parallels', diskWith('WithoutFreeSpace\x02')],
      ['Parallels with extensions', diskWith('WithouFreSpacExt\x02')],
      ['Bochs', diskWith('Bochs Virtual HD Image\0')],
      ['cloop', diskWith('#!/bin/sh\n#V2.0 Format\nmodprobe cloop\n')],
      [
        'DMG',
        diskWith(Buffer.concat([Buffer.from('koly\0\0\0\x04\0\0\x02\0'), Buffer.alloc(500)]), -512),
      ],
      ['LUKS 1', diskWith('LUKS\xba\xbe\0\x01')],
      ['LUKS 2', diskWith('LUKS\xba\xbe\0\x02')],
      ['COWD', diskWith('COWD\x01\0\0\0\x03\0\0\0')],
      ['SESparse', diskWith('\xbe\xba\xfe\xca\0\0\0\0\x01\0\x02\0')],
    ] as const
  ).flatMap(([format, content]) =>
    (['raw', 'vmdk'] as const).map((claim) => ({
      name: `foreign: ${format} said to be ${claim}`,
      claim,
      codes: ['CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED', 'ENCRYPTED', 'EXTERNAL_REFERENCE'] as const,
      make: () => content,
    })),
  )
  const both = [
    ...(['qcow2', 'vhdx', 'vdi', 'vmdk'] as const).flatMap((format) =>
      (['iso', format] as const).map((claim) => ({
        name: `polyglot: a CD with the header of ${format}, said to be ${claim}`,
        claim,
        codes: AMBIGUOUS,
        make: () => headOf(isoOf(512), bases[format]),
      })),
    ),
    {
      name: 'polyglot: a CD with a VHD footer, said to be iso',
      claim: 'iso',
      codes: AMBIGUOUS,
      make: () => Buffer.concat([isoOf(512), vhdFooterLike()]),
    },
    {
      name: 'polyglot: a vdi with a VHD footer',
      claim: 'vdi',
      codes: AMBIGUOUS,
      make: () => Buffer.concat([bases.vdi, vhdFooterLike()]),
    },
    {
      name: 'polyglot: a VHD footer behind a qcow2 header, said to be vhd',
      claim: 'vhd',
      codes: AMBIGUOUS,
      make: () => Buffer.concat([diskWith(bases.qcow2.subarray(0, 512)), vhdFooterLike()]),
    },
    {
      name: 'polyglot: a raw disk with a VHD footer, said to be raw',
      claim: 'raw',
      codes: LIE,
      make: () => Buffer.concat([bases.raw, vhdFooterLike()]),
    },
    {
      name: 'claims: a bootable CD said to be raw',
      claim: 'raw',
      codes: LIE,
      make: () => {
        const disc = isoOf(64)
        disc.writeUInt16LE(0xaa55, 510)
        return disc
      },
    },
    ...(['raw', 'qcow2', 'iso', 'vmdk', 'vhd', 'vhdx', 'vdi'] as const).map((claim) => ({
      name: `claims: nothing at all, said to be ${claim}`,
      claim,
      codes: ['EMPTY', 'TRUNCATED', 'CLAIM_MISMATCH'] as const,
      make: () => Buffer.alloc(0),
    })),
    {
      name: 'iso: cut in the middle',
      claim: 'iso',
      codes: ['TRUNCATED'] as const,
      make: () => isoOf(600, 300),
    },
    {
      name: 'iso: two sizes of the volume',
      claim: 'iso',
      codes: ['SIZE_MISMATCH', 'COPIES_DIFFER', 'HEADER_INVALID'] as const,
      make: () => {
        const disc = isoOf(64)
        disc.writeUInt32BE(65, 32768 + 84)
        return disc
      },
    },
    {
      name: 'iso: blocks of no bytes',
      claim: 'iso',
      codes: ['HEADER_INVALID', 'SIZE_MISMATCH', 'COPIES_DIFFER'] as const,
      make: () => {
        const disc = isoOf(64)
        disc.fill(0, 32768 + 128, 32768 + 132)
        return disc
      },
    },
  ]
  return [...crossed, ...cloud, ...foreign, ...both, ...hostileDiscs(), ...cutFileSystems()]
}

/** CDs whose descriptors lie. */
function hostileDiscs(): HostileImage[] {
  const PRIMARY = 32_768
  const rows: [what: string, codes: HostileImage['codes'], edit: (disc: Buffer) => void][] = [
    [
      'a root directory past the end',
      ['OUT_OF_RANGE', 'TRUNCATED'],
      (disc) => root(disc, 60_000, 2048),
    ],
    [
      'a root directory of 4 GiB',
      ['OUT_OF_RANGE', 'TRUNCATED'],
      (disc) => root(disc, 20, 0xfffff800),
    ],
    [
      'two places of its root directory',
      ['COPIES_DIFFER'],
      (disc) => {
        root(disc, 20, 2048)
        disc.writeUInt32BE(21, PRIMARY + 156 + 6)
      },
    ],
    [
      'blocks of 1000 bytes',
      ['HEADER_INVALID'],
      (disc) => {
        disc.writeUInt16LE(1000, PRIMARY + 128)
        disc.writeUInt16BE(1000, PRIMARY + 130)
      },
    ],
    ['another version', ['FORMAT_VERSION'], (disc) => disc.writeUInt8(2, PRIMARY + 6)],
    [
      'a volume of no blocks',
      ['OUT_OF_RANGE'],
      (disc) => void disc.fill(0, PRIMARY + 80, PRIMARY + 88),
    ],
    ['an end before any volume', ['HEADER_INVALID'], (disc) => disc.writeUInt8(255, PRIMARY)],
    [
      'no anchor of its UDF',
      ['HEADER_INVALID', 'TRUNCATED'],
      (disc) => {
        disc.fill(0, PRIMARY)
        disc.write('\0BEA01\x01', PRIMARY, 'latin1')
        disc.write('\0NSR02\x01', PRIMARY + 2048, 'latin1')
        disc.write('\0TEA01\x01', PRIMARY + 4096, 'latin1')
      },
    ],
  ]
  const root = (disc: Buffer, block: number, size: number) => {
    const at = PRIMARY + 156
    disc.writeUInt8(34, at)
    disc.writeUInt32LE(block, at + 2)
    disc.writeUInt32BE(block, at + 6)
    disc.writeUInt32LE(size, at + 10)
    disc.writeUInt32BE(size, at + 14)
  }
  return rows.map(([what, codes, edit]) => ({
    name: `iso: ${what}`,
    claim: 'iso',
    codes,
    make: () => {
      const disc = isoOf(64)
      edit(disc)
      return disc
    },
  }))
}

/** The disk with a signature, and its sizes. */
const sized = (magic: string, at: number, edit: (disk: Buffer) => void) => () => {
  const disk = diskWith(magic, at)
  edit(disk)
  return disk
}

/** Machine images that end before their file system does. */
function cutFileSystems(): HostileImage[] {
  const rows: [what: string, make: () => Buffer][] = [
    [
      'an ext file system',
      sized('\x53\xef', 1080, (disk) => {
        disk.writeUInt32LE(64_000, 1024 + 4)
        disk.writeUInt32LE(2, 1024 + 24)
      }),
    ],
    [
      'an ext file system of 2^40 blocks',
      sized('\x53\xef', 1080, (disk) => {
        disk.writeUInt32LE(0x80, 1024 + 0x60)
        disk.writeUInt32LE(256, 1024 + 0x150)
        disk.writeUInt32LE(2, 1024 + 24)
      }),
    ],
    [
      'an xfs',
      sized('XFSB', 0, (disk) => {
        disk.writeUInt32BE(4096, 4)
        disk.writeBigUInt64BE(100_000n, 8)
      }),
    ],
    [
      'a btrfs',
      sized('_BHRfS_M', 65_600, (disk) => disk.writeBigUInt64LE(2n ** 40n, 65_536 + 112)),
    ],
  ]
  return rows.map(([what, make]) => ({
    name: `ami: ${what} that is cut`,
    claim: 'ami',
    codes: ['TRUNCATED'] as const,
    make,
  }))
}
