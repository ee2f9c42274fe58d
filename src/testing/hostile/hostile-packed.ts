import { gzipSync, zstdCompressSync } from 'node:zlib'
import { createHash } from 'node:crypto'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { BaseImages } from './base-images.ts'
import type { HostileImage } from './hostile-image.ts'

const DAMAGED = ['CONTENT_DAMAGED', 'TRUNCATED', 'CHECKSUM'] as const

const by = (program: string, input: Uint8Array) => runTool([program, '-c'], { input })
const row = (
  name: string,
  claim: string,
  codes: HostileImage['codes'],
  make: () => Buffer | Promise<Buffer>,
): HostileImage => ({ name: `packed: ${name}`, claim, codes, make })
const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes)
  const index = at < 0 ? copy.length + at : at
  copy[index] = (copy[index] ?? 0) ^ 0xff
  return copy
}

/** Damaged, cut, nested and mislabelled compressed files. */
export function hostilePacked(bases: BaseImages): HostileImage[] {
  const disk = bases.raw
  const gz = gzipSync(disk)
  const zst = zstdCompressSync(disk)
  const LIE = ['CLAIM_MISMATCH', 'NESTED_FORMAT'] as const
  return [
    row('a cut gzip', 'raw.gz', DAMAGED, () => gz.subarray(0, gz.length / 2)),
    row('a gzip without its check sum', 'raw.gz', DAMAGED, () => gz.subarray(0, -8)),
    row('a gzip with a wrong check sum', 'raw.gz', DAMAGED, () => flipped(gz, -6)),
    row('a gzip with a wrong length', 'raw.gz', DAMAGED, () => flipped(gz, -2)),
    row('a damaged gzip', 'raw.gz', DAMAGED, () => flipped(gz, Math.floor(gz.length / 2))),
    row(
      'a gzip of an unknown method',
      'raw.gz',
      [...DAMAGED, 'UNKNOWN_FEATURE', 'CLAIM_MISMATCH', 'HEADER_INVALID'],
      () => flipped(gz, 2),
    ),
    row('a cut zstd', 'raw.zst', DAMAGED, () => zst.subarray(0, zst.length / 2)),
    row('a damaged zstd', 'raw.zst', [...DAMAGED, 'OUT_OF_RANGE', 'HEADER_INVALID'], () =>
      flipped(zst, 5),
    ),
    row(
      'a zstd with a window of 2 TiB',
      'raw.zst',
      ['LIMIT_REACHED', 'OUT_OF_RANGE', 'CONTENT_DAMAGED', 'SIZE_LIMIT', 'HEADER_INVALID'],
      () => Buffer.from('28b52ffd00f8010000', 'hex'),
    ),
    row('a cut xz', 'raw.xz', DAMAGED, async () => {
      const xz = await by('xz', disk)
      return xz.subarray(0, xz.length / 2)
    }),
    row('a damaged xz', 'raw.xz', DAMAGED, async () => flipped(await by('xz', disk), 40)),
    row('a cut bz2', 'raw.bz2', DAMAGED, async () => {
      const bz2 = await by('bzip2', disk)
      return bz2.subarray(0, bz2.length / 2)
    }),
    row('a damaged bz2', 'raw.bz2', DAMAGED, async () => flipped(await by('bzip2', disk), 30)),
    row('a gzip in a gzip', 'raw.gz', LIE, () => gzipSync(gz)),
    row('a zstd in a gzip', 'raw.gz', LIE, () => gzipSync(zst)),
    row('a qcow2 in a gzip, said to be raw', 'raw.gz', LIE, () => gzipSync(bases.qcow2)),
    row('a vmdk in a zstd, said to be raw', 'raw.zst', LIE, () => zstdCompressSync(bases.vmdk)),
    row('a raw disk in a gzip, said to be qcow2', 'qcow2.gz', LIE, () => gzipSync(disk)),
    row('a gzip said to be raw', 'raw', ['CLAIM_MISMATCH'], () => gz),
    row('a zstd said to be raw', 'raw', ['CLAIM_MISMATCH'], () => zst),
    row('an xz said to be raw', 'raw', ['CLAIM_MISMATCH'], () => by('xz', disk)),
    row('a gzip said to be zstd', 'raw.zst', ['CLAIM_MISMATCH'], () => gz),
    row('a raw disk said to be a gzip', 'raw.gz', ['CLAIM_MISMATCH'], () => disk),
    row('a qcow2 with a backing file in a gzip', 'qcow2.gz', ['BACKING_FILE'], () => {
      const bad = Buffer.from(bases.qcow2)
      bad.writeBigUInt64BE(1024n, 8)
      bad.writeUInt32BE(11, 16)
      return gzipSync(bad)
    }),
    row('a cut qcow2 in a gzip', 'qcow2.gz', ['TRUNCATED'], () =>
      gzipSync(bases.qcow2.subarray(0, -4096)),
    ),
    row('a partition past the end in a gzip', 'raw.gz', ['PARTITION_TABLE', 'TRUNCATED'], () => {
      const bad = Buffer.alloc(MiB)
      bad.writeUInt8(0x83, 450)
      bad.writeUInt32LE(64, 454)
      bad.writeUInt32LE(1_000_000, 458)
      bad.writeUInt16LE(0xaa55, 510)
      return gzipSync(bad)
    }),
    row('a zip', 'raw', ['CLAIM_MISMATCH', 'FORMAT_UNSUPPORTED'], () =>
      Buffer.concat([Buffer.from('PK\x03\x04\x14\0\0\0\x08\0', 'latin1'), Buffer.alloc(1014)]),
    ),
    ...hostileOva(bases),
  ]
}

type Member = readonly [name: string, content: Buffer | string, type?: string, link?: string]

/** A tar as ustar writes it. */
export function tarOf(members: readonly Member[]): Buffer {
  const parts: Buffer[] = []
  for (const [name, content, type = '0', link = ''] of members) {
    const data = Buffer.from(content)
    const header = Buffer.alloc(512)
    header.write(name, 0, 'latin1')
    header.write('0000644\x000000000\x000000000\0', 100, 'latin1')
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
    header.write('00000000000\0        ', 136, 'latin1')
    header.write(type, 156, 'latin1')
    header.write(link, 157, 'latin1')
    header.write('ustar\x0000', 257, 'latin1')
    const sum = header.reduce((total, value) => total + value, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    parts.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512))
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

/** An OVF descriptor of one disk. */
export function ovfOf(href = 'disk.vmdk', more = ''): string {
  return `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="${href}"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="1073741824" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="vm"><Info>A machine</Info>${more}</VirtualSystem>
</Envelope>
`
}

function hostileOva(bases: BaseImages): HostileImage[] {
  const vmdk = bases.vmdkStream
  const good: readonly Member[] = [
    ['vm.ovf', ovfOf()],
    ['disk.vmdk', vmdk],
  ]
  const MEMBER = ['ARCHIVE_MEMBER', 'EXTERNAL_REFERENCE', 'DESCRIPTOR_INVALID'] as const
  const DESCRIPTOR = ['DESCRIPTOR_INVALID', 'EXTERNAL_REFERENCE', 'ARCHIVE_MEMBER'] as const
  const sha = createHash('sha256').update(vmdk).digest('hex')
  const bad = Buffer.from(vmdk)
  bad.write('CID=12345678', bad.indexOf('parentCID=') + 6, 'latin1')
  const row = (
    name: string,
    codes: HostileImage['codes'],
    members: readonly Member[],
    edit: (tar: Buffer) => Buffer = (tar) => tar,
  ): HostileImage => ({
    name: `ova: ${name}`,
    claim: 'ova',
    codes,
    make: () => edit(tarOf(members)),
  })
  const entity = ovfOf().replace(
    '<Envelope',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope',
  )
  return [
    row('a link', MEMBER, [...good, ['x.vmdk', '', '2', '/etc/passwd']]),
    row('a hard link', MEMBER, [...good, ['x.vmdk', '', '1', '/etc/passwd']]),
    row('a device', MEMBER, [...good, ['x', '', '3']]),
    row('a directory', MEMBER, [...good, ['x/', '', '5']]),
    row('an absolute path', MEMBER, [...good, ['/etc/cron.d/x', 'y']]),
    row('a path upwards', MEMBER, [...good, ['../x.vmdk', 'y']]),
    row('a path in a directory', MEMBER, [...good, ['a/x.vmdk', 'y']]),
    row('a member twice', MEMBER, [...good, ['disk.vmdk', vmdk]]),
    row('two descriptors', MEMBER, [...good, ['other.ovf', ovfOf()]]),
    row('no descriptor', [...MEMBER, 'CLAIM_MISMATCH'], [['disk.vmdk', vmdk]]),
    row('a disk that is not there', DESCRIPTOR, [['vm.ovf', ovfOf()]]),
    row('a disk by its URL', DESCRIPTOR, [
      ['vm.ovf', ovfOf('http://example.org/disk.vmdk')],
      good[1]!,
    ]),
    row('a disk by its path', DESCRIPTOR, [['vm.ovf', ovfOf('/etc/passwd')], good[1]!]),
    row('a disk by a path upwards', DESCRIPTOR, [['vm.ovf', ovfOf('../disk.vmdk')], good[1]!]),
    row('a document type', DESCRIPTOR, [['vm.ovf', entity], good[1]!]),
    row('a descriptor that is no XML', DESCRIPTOR, [['vm.ovf', 'hello'], good[1]!]),
    row('a descriptor that is cut', DESCRIPTOR, [['vm.ovf', ovfOf().slice(0, 200)], good[1]!]),
    row(
      'a digest that is wrong',
      ['DIGEST_MISMATCH'],
      [good[0]!, ['vm.mf', `SHA256(disk.vmdk)= ${'0'.repeat(64)}\n`], good[1]!],
    ),
    row(
      'a digest of a file that is not there',
      ['DIGEST_MISMATCH', 'DESCRIPTOR_INVALID', 'ARCHIVE_MEMBER'],
      [good[0]!, ['vm.mf', `SHA256(other.vmdk)= ${sha}\n`], good[1]!],
    ),
    row(
      'a manifest that is no manifest',
      ['DESCRIPTOR_INVALID', 'DIGEST_MISMATCH'],
      [good[0]!, ['vm.mf', 'hello world\n'], good[1]!],
    ),
    row('a disk with a parent', ['PARENT', 'DESCRIPTOR_INVALID'], [good[0]!, ['disk.vmdk', bad]]),
    row(
      'a disk that is a qcow2',
      ['CLAIM_MISMATCH', 'NESTED_FORMAT', 'FORMAT_UNSUPPORTED'],
      [good[0]!, ['disk.vmdk', bases.qcow2]],
    ),
    row(
      'a disk that names another file',
      ['EXTERNAL_REFERENCE', 'FORMAT_UNSUPPORTED', 'CLAIM_MISMATCH'],
      [
        good[0]!,
        [
          'disk.vmdk',
          '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n',
        ],
      ],
    ),
    row('cut in the disk', ['TRUNCATED'], good, (tar) =>
      tar.subarray(0, Math.floor(tar.length / 2)),
    ),
    row(
      'a wrong check sum of a header',
      ['CHECKSUM', 'CLAIM_MISMATCH', 'HEADER_INVALID'],
      good,
      (tar) => {
        const second = 512 + Math.ceil(Buffer.byteLength(ovfOf()) / 512) * 512
        tar.write('0000001\0', second + 148, 'latin1')
        return tar
      },
    ),
    row('a member of 8 GiB that is not there', ['TRUNCATED', 'CHECKSUM'], good, (tar) => {
      const second = 512 + Math.ceil(Buffer.byteLength(ovfOf()) / 512) * 512
      tar.write('77777777777\0', second + 124, 'latin1')
      tar.fill(' ', second + 148, second + 156)
      const sum = tar.subarray(second, second + 512).reduce((total, value) => total + value, 0)
      tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, second + 148, 'latin1')
      return tar
    }),
    {
      name: 'ova: a tar said to be raw',
      claim: 'raw',
      codes: ['CLAIM_MISMATCH'],
      make: () => tarOf(good),
    },
    {
      name: 'ova: an archive of zeros',
      claim: 'ova',
      codes: ['CLAIM_MISMATCH', 'EMPTY', 'ARCHIVE_MEMBER', 'DESCRIPTOR_INVALID', 'TRUNCATED'],
      make: () => Buffer.alloc(64 * KiB),
    },
  ]
}
