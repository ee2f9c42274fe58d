import { gzipSync } from 'node:zlib'
import { GiB, KiB } from '../../base/units.ts'
import type { FindingCode } from '../../formats/finding.ts'
import type { BaseImages } from './base-images.ts'
import type { HostileImage } from './hostile-image.ts'
import { ovfOf, tarOf } from './hostile-packed.ts'

type Member = Parameters<typeof tarOf>[0][number]
type Edit = (header: Buffer) => void

const MEMBER = ['ARCHIVE_MEMBER', 'EXTERNAL_REFERENCE', 'DESCRIPTOR_INVALID'] as const

/** Changes the header of the member of this name, and makes its check sum right again. */
function inHeader(tar: Buffer, name: string, edit: Edit): Buffer {
  const at = tar.indexOf(Buffer.from(`${name}\0`, 'latin1'))
  const header = tar.subarray(at, at + 512)
  edit(header)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, value) => total + value, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return tar
}

/** A record of an extended header, which tells its own length. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const length = rest.length + String(rest.length + 2).length
  return `${length}${rest}`
}

/** Archives whose headers and descriptors lie. */
export function hostileArchives(bases: BaseImages): HostileImage[] {
  return [...hostileOva(bases), ...hostileGce(bases)]
}

const withSize = (edit: Edit) => (tar: Buffer) => inHeader(tar, 'disk.vmdk', edit)

function hostileOva({ vmdkStream: vmdk }: BaseImages): HostileImage[] {
  const ovf: Member = ['vm.ovf', ovfOf()]
  const disk: Member = ['disk.vmdk', vmdk]
  const row = (
    name: string,
    codes: readonly FindingCode[],
    members: readonly Member[],
    edit: (tar: Buffer) => Buffer = (tar) => tar,
  ): HostileImage => ({
    name: `ova archive: ${name}`,
    claim: 'ova',
    codes,
    make: () => edit(tarOf(members)),
  })
  const renamed = (key: string, value: string): Member[] => [
    ovf,
    ['pax', record(key, value), 'x'],
    disk,
  ]
  const described = (change: (text: string) => string): Member[] => [
    ['vm.ovf', change(ovfOf())],
    disk,
  ]
  return [
    row('a disk renamed by a record to a path', MEMBER, renamed('path', '../disk.vmdk')),
    row('a disk renamed by a record to what is there', MEMBER, renamed('path', 'vm.ovf')),
    row(
      'a record of another size',
      ['TRUNCATED', 'CHECKSUM', 'HEADER_INVALID', 'UNUSED_BYTES'],
      renamed('size', '100'),
    ),
    row('a record of a size that is no number', MEMBER, renamed('size', '-1')),
    row('a record of a link', MEMBER, renamed('linkpath', '/etc/passwd')),
    row('a record of a sparse file', MEMBER, renamed('GNU.sparse.realsize', '99999999999')),
    row('a record that is none', ['HEADER_INVALID'], [ovf, ['pax', 'hello', 'x'], disk]),
    row('records for all that follows', MEMBER, [
      ovf,
      ['pax', record('path', 'disk.vmdk'), 'g'],
      disk,
    ]),
    row(
      'records of 10 MiB',
      ['OUT_OF_RANGE'],
      [ovf, ['pax', Buffer.alloc(10 * 1024 * KiB, ' '), 'x'], disk],
    ),
    row('a long name of GNU tar', MEMBER, [
      ovf,
      ['././@LongLink', '../../etc/passwd\0', 'L'],
      disk,
    ]),
    row('a long link of GNU tar', MEMBER, [ovf, ['././@LongLink', '/etc/passwd\0', 'K'], disk]),
    row('a sparse disk', MEMBER, [ovf, ['disk.vmdk', vmdk, 'S']]),
    row('a pipe', MEMBER, [ovf, disk, ['x', '', '6']]),
    row('a volume’s label', MEMBER, [['label', '', 'V'], ovf, disk]),
    row('a member without a name', MEMBER, [ovf, disk, ['', 'x']]),
    row('a name with a backslash', MEMBER, [ovf, disk, ['a\\b', 'x']]),
    row('a name with a newline', MEMBER, [ovf, disk, ['a\nb', 'x']]),
    row(
      'a prefix before a name',
      MEMBER,
      [ovf, disk],
      withSize((header) => void header.write('/etc', 345, 'latin1')),
    ),
    row(
      'a size in base 256 beyond all bounds',
      ['HEADER_INVALID', 'TRUNCATED'],
      [ovf, disk],
      withSize((header) => void header.fill(0x80, 124, 136)),
    ),
    row(
      'a negative size',
      ['HEADER_INVALID'],
      [ovf, disk],
      withSize((header) => void header.fill(0xff, 124, 136)),
    ),
    row(
      'a size with a sign',
      ['HEADER_INVALID'],
      [ovf, disk],
      withSize((header) => void header.write('-0000001000\0', 124, 'latin1')),
    ),
    row(
      'a size of 2^50 in base 256',
      ['TRUNCATED'],
      [ovf, disk],
      withSize((header) => {
        header.fill(0, 124, 136).writeUInt8(0x80, 124)
        header.writeBigUInt64BE(2n ** 50n, 128)
      }),
    ),
    row(
      'a manifest before the descriptor',
      ['DESCRIPTOR_INVALID', 'DIGEST_MISMATCH'],
      [['vm.mf', ''], ovf, disk],
    ),
    row(
      'two manifests',
      ['DESCRIPTOR_INVALID', 'DIGEST_MISMATCH'],
      [ovf, ['a.mf', ''], ['b.mf', ''], disk],
    ),
    row('a disk before the descriptor', ['DESCRIPTOR_INVALID'], [disk, ovf]),
    row('content behind the end', ['UNUSED_BYTES'], [ovf, disk], (tar) =>
      Buffer.concat([tar.subarray(0, -512), tarOf([['x', 'y']])]),
    ),
    row('no end', ['TRUNCATED'], [ovf, disk], (tar) => tar.subarray(0, -1024)),
    row(
      'a disk compressed by gzip',
      ['UNKNOWN_FEATURE'],
      described((text) => text.replace('ovf:id="file1"', 'ovf:id="file1" ovf:compression="gzip"')),
    ),
    row(
      'a disk in chunks',
      ['UNKNOWN_FEATURE'],
      described((text) => text.replace('ovf:id="file1"', 'ovf:id="file1" ovf:chunkSize="1000"')),
    ),
    row(
      'a disk on top of another',
      ['PARENT'],
      described((text) => text.replace('ovf:diskId', 'ovf:parentRef="disk0" ovf:diskId')),
    ),
    row(
      'two disks in one file',
      ['DESCRIPTOR_INVALID', 'OVERLAP'],
      described((text) =>
        text.replace(
          '</DiskSection>',
          '<Disk ovf:diskId="disk2" ovf:fileRef="file1" ovf:capacity="1073741824"/></DiskSection>',
        ),
      ),
    ),
    row(
      'two files of one name',
      ['DESCRIPTOR_INVALID', 'ARCHIVE_MEMBER'],
      described((text) =>
        text.replace('</References>', '<File ovf:id="file2" ovf:href="disk.vmdk"/></References>'),
      ),
    ),
    row(
      'two files of one id',
      ['DESCRIPTOR_INVALID', 'EXTERNAL_REFERENCE'],
      described((text) =>
        text.replace('</References>', '<File ovf:id="file1" ovf:href="x"/></References>'),
      ),
    ),
    row(
      'a disk of a file that is not listed',
      ['DESCRIPTOR_INVALID'],
      described((text) => text.replace('ovf:fileRef="file1"', 'ovf:fileRef="file9"')),
    ),
    row(
      'another size than the descriptor says',
      ['SIZE_MISMATCH'],
      described((text) => text.replace('ovf:id="file1"', 'ovf:id="file1" ovf:size="5"')),
    ),
    row(
      'another capacity than the descriptor says',
      ['SIZE_MISMATCH'],
      described((text) => text.replace('1073741824', '4096')),
    ),
    row(
      'a size that is no number',
      ['DESCRIPTOR_INVALID'],
      described((text) => text.replace('ovf:id="file1"', 'ovf:id="file1" ovf:size="-5"')),
    ),
    row(
      'a descriptor in UTF-16',
      ['DESCRIPTOR_INVALID'],
      [['vm.ovf', Buffer.from(ovfOf(), 'utf16le')], disk],
    ),
    row(
      'a descriptor with a NUL',
      ['DESCRIPTOR_INVALID'],
      described((text) => text.replace('A machine', 'A \0machine')),
    ),
    row(
      'a descriptor with an entity',
      ['DESCRIPTOR_INVALID'],
      described((text) => text.replace('A machine', '&xxe;')),
    ),
    row(
      'a descriptor of 2 MiB',
      ['OUT_OF_RANGE'],
      described((text) => text.replace('A machine', 'x'.repeat(2 * 1024 * KiB))),
    ),
    row(
      'another document',
      ['DESCRIPTOR_INVALID', 'EXTERNAL_REFERENCE'],
      [['vm.ovf', '<html/>'], disk],
    ),
  ]
}

/** A number as GNU tar writes it: 11 octal digits and a NUL. */
const octal = (value: number) => `${value.toString(8).padStart(11, '0')}\0`

const gceRow = (
  name: string,
  codes: readonly FindingCode[],
  make: () => Buffer,
  claim = 'gce',
): HostileImage => ({ name: `gce: ${name}`, claim, codes, make: () => gzipSync(make()) })

function hostileGce({ raw, qcow2 }: BaseImages): HostileImage[] {
  /** A sparse disk.raw: its list, the bytes of its data, its size, the flag for more. */
  const sparse = (
    runs: readonly (readonly [offset: number, length: number])[],
    { size = GiB, data = 0, more = 0, content = raw } = {},
  ): Buffer => {
    const stored = data || runs.reduce((sum, [, length]) => sum + length, 0)
    const tar = tarOf([['disk.raw', Buffer.from(content.subarray(0, stored)), 'S']])
    return inHeader(tar, 'disk.raw', (header) => {
      header.write('ustar  \0', 257, 'latin1')
      for (const [index, [offset, length]] of runs.entries())
        header.write(octal(offset) + octal(length), 386 + index * 24, 'latin1')
      header.writeUInt8(more, 482)
      header.write(octal(size), 483, 'latin1')
    })
  }
  return [
    gceRow('another member beside the disk', ['ARCHIVE_MEMBER'], () =>
      tarOf([
        ['disk.raw', raw],
        ['x', 'y'],
      ]),
    ),
    gceRow('a disk of another name', ['ARCHIVE_MEMBER', 'NESTED_FORMAT'], () =>
      tarOf([['other.raw', raw]]),
    ),
    gceRow('a disk in a directory', ['ARCHIVE_MEMBER'], () => tarOf([['a/disk.raw', raw]])),
    gceRow('two disks', ['ARCHIVE_MEMBER'], () =>
      tarOf([
        ['disk.raw', raw],
        ['disk.raw', raw],
      ]),
    ),
    gceRow('a link', ['ARCHIVE_MEMBER'], () => tarOf([['disk.raw', '', '2', '/dev/sda']])),
    gceRow('a device', ['ARCHIVE_MEMBER'], () => tarOf([['disk.raw', '', '4']])),
    gceRow('no member', ['NESTED_FORMAT', 'CLAIM_MISMATCH', 'TRUNCATED'], () =>
      Buffer.alloc(10 * KiB),
    ),
    gceRow('runs that overlap', ['OVERLAP'], () =>
      sparse([
        [0, 4096],
        [2048, 4096],
      ]),
    ),
    gceRow('runs that go back', ['OVERLAP'], () =>
      sparse([
        [8192, 4096],
        [0, 4096],
      ]),
    ),
    gceRow('a run past the end of the disk', ['OUT_OF_RANGE'], () =>
      sparse([
        [0, 4096],
        [GiB, 4096],
      ]),
    ),
    gceRow('less data than its runs', ['SIZE_MISMATCH'], () => sparse([[0, 8192]], { data: 4096 })),
    gceRow('more data than its runs', ['SIZE_MISMATCH'], () => sparse([[0, 4096]], { data: 8192 })),
    gceRow(
      'a list that goes on in the data',
      ['ENTRY_INVALID', 'OVERLAP', 'TRUNCATED', 'SIZE_MISMATCH'],
      () => sparse([[0, 4096]], { more: 1 }),
    ),
    gceRow('a list that goes on past the end', ['TRUNCATED', 'ENTRY_INVALID'], () =>
      sparse([[0, 4096]], { more: 1 }).subarray(0, 512),
    ),
    gceRow('a disk of 8 EiB', ['SIZE_LIMIT', 'HEADER_INVALID'], () =>
      inHeader(sparse([[0, 4096]]), 'disk.raw', (header) => {
        header.fill(0, 483, 495).writeUInt8(0x80, 483)
        header.writeBigUInt64BE(2n ** 52n, 487)
      }),
    ),
    gceRow('an entry that is no number', ['ENTRY_INVALID'], () =>
      inHeader(
        sparse([[0, 4096]]),
        'disk.raw',
        (header) => void header.write('hello', 386, 'latin1'),
      ),
    ),
    gceRow('cut in the data', ['TRUNCATED'], () => sparse([[0, 65_536]]).subarray(0, 5000)),
    gceRow('a qcow2 as the disk', ['NESTED_FORMAT'], () =>
      sparse([[0, 65_536]], { content: qcow2 }),
    ),
    gceRow(
      'said to be a raw disk',
      ['NESTED_FORMAT', 'CLAIM_MISMATCH'],
      () => sparse([[0, 4096]]),
      'raw.gz',
    ),
    gceRow('a raw disk in a gzip instead', ['CLAIM_MISMATCH'], () => raw),
    {
      name: 'gce: not compressed',
      claim: 'gce',
      codes: ['CLAIM_MISMATCH'],
      make: () => sparse([[0, 4096]]),
    },
  ]
}
