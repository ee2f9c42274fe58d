import { crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import { runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import type { HostileImage } from './hostile-image.ts'

const DAMAGED = ['CONTENT_DAMAGED', 'TRUNCATED', 'CHECKSUM', 'UNUSED_BYTES'] as const
const EMPTY = ['EMPTY', 'CLAIM_MISMATCH', 'TRUNCATED', 'CONTENT_DAMAGED'] as const

const by = (program: string, input: Uint8Array, ...options: string[]) =>
  runTool([program, '-c', ...options], { input })

const row = (
  name: string,
  claim: string,
  codes: HostileImage['codes'],
  make: () => Buffer | Promise<Buffer>,
): HostileImage => ({ name: `streams: ${name}`, claim, codes, make })

/** The headers and ends of compressed streams that lie, and what stands behind and between them. */
export function hostileStreams({ raw }: BaseImages): HostileImage[] {
  const gz = gzipSync(raw)
  const zst = zstdCompressSync(raw)
  /** The gzip with other flags, and what they say follows its header. */
  const flagged = (flags: number, more: Buffer) => {
    const header = Buffer.from(gz.subarray(0, 10))
    header.writeUInt8(flags, 3)
    return Buffer.concat([header, more, gz.subarray(10)])
  }
  return [
    row('a gzip whose header has a wrong check sum', 'raw.gz', DAMAGED, () =>
      flagged(2, Buffer.from([1, 2])),
    ),
    row('a gzip with reserved flags', 'raw.gz', DAMAGED, () => flagged(0xe0, Buffer.alloc(0))),
    row('a gzip whose extra field is all that there is', 'raw.gz', DAMAGED, () =>
      flagged(4, Buffer.from([0xff, 0xff])).subarray(0, 1000),
    ),
    row('a gzip whose name never ends', 'raw.gz', DAMAGED, () =>
      Buffer.concat([flagged(8, Buffer.alloc(0)).subarray(0, 10), Buffer.alloc(100_000, 0x61)]),
    ),
    row('a gzip of nothing', 'raw.gz', EMPTY, () => gzipSync(Buffer.alloc(0))),
    row('a gzip with more behind it', 'raw.gz', DAMAGED, () =>
      Buffer.concat([gz, Buffer.from('more')]),
    ),
    row('a gzip with a qcow2 behind it', 'raw.gz', DAMAGED, () =>
      Buffer.concat([gz, Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.alloc(MiB)]),
    ),
    row('a gzip whose second member is cut', 'raw.gz', DAMAGED, () =>
      Buffer.concat([gz, gz.subarray(0, 40)]),
    ),
    row('a header of gzip and nothing else', 'raw.gz', DAMAGED, () => gz.subarray(0, 10)),
    row('a zstd of frames to skip', 'raw.zst', EMPTY, () =>
      Buffer.from('502a4d180400000001020304502a4d180100000005', 'hex'),
    ),
    row('a zstd whose frame to skip never ends', 'raw.zst', [...DAMAGED, ...EMPTY], () =>
      Buffer.concat([Buffer.from('502a4d18ffffffff', 'hex'), Buffer.alloc(1000)]),
    ),
    row('a zstd with more behind it', 'raw.zst', DAMAGED, () =>
      Buffer.concat([zst, Buffer.from('more')]),
    ),
    row('a zstd whose second frame is cut', 'raw.zst', DAMAGED, () =>
      Buffer.concat([zst, zst.subarray(0, 12)]),
    ),
    row('a zstd that needs a dictionary', 'raw.zst', DAMAGED, () =>
      Buffer.from('28b52ffd03380123456703001000', 'hex'),
    ),
    row('a zstd with a reserved block', 'raw.zst', DAMAGED, () =>
      Buffer.from('28b52ffd003807001000', 'hex'),
    ),
    row('an xz with a dictionary of 4 GiB', 'raw.xz', ['LIMIT_REACHED'], async () => {
      const xz = Buffer.from(await by('xz', raw, '-1'))
      const size = ((xz[12] ?? 0) + 1) * 4
      xz.writeUInt8(40, xz.indexOf(0x21, 13) + 2)
      xz.writeUInt32LE(crc32(xz.subarray(12, 12 + size - 4)), 12 + size - 4)
      return xz
    }),
    row('an xz with more behind it', 'raw.xz', DAMAGED, async () =>
      Buffer.concat([await by('xz', raw, '-1'), Buffer.from('more')]),
    ),
    row('an xz padded by three bytes', 'raw.xz', DAMAGED, async () =>
      Buffer.concat([await by('xz', raw, '-1'), Buffer.alloc(3)]),
    ),
    row('an xz without its index', 'raw.xz', DAMAGED, async () =>
      (await by('xz', raw, '-1')).subarray(0, -24),
    ),
    row('a bz2 with more behind it', 'raw.bz2', DAMAGED, async () =>
      Buffer.concat([await by('bzip2', raw, '-1'), Buffer.from('more')]),
    ),
    row('a bz2 whose second stream is cut', 'raw.bz2', DAMAGED, async () => {
      const bz2 = await by('bzip2', raw, '-1')
      return Buffer.concat([bz2, bz2.subarray(0, bz2.length - 9)])
    }),
    row('a bz2 of nothing', 'raw.bz2', EMPTY, () => by('bzip2', Buffer.alloc(0))),
    row('a gzip of a disk said to be a kernel', 'aki', ['CLAIM_MISMATCH'], () => gz),
    row('a gzip of a disk said to be a ramdisk', 'ari', ['CLAIM_MISMATCH'], () => gz),
    row('an lz4 said to be raw', 'raw', ['CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED'], () =>
      Buffer.concat([Buffer.from('04224d18', 'hex'), raw]),
    ),
    row('an lz4 said to be a kernel', 'aki', ['CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED'], () =>
      Buffer.concat([Buffer.from('02214c18', 'hex'), raw]),
    ),
    row(
      'an lz4 in a gzip, said to be a ramdisk',
      'ari',
      ['CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED'],
      () => gzipSync(Buffer.concat([Buffer.from('02214c18', 'hex'), raw])),
    ),
  ]
}
