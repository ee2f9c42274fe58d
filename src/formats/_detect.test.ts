import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { KiB, MiB } from '../base/units.ts'
import { detect, HEAD, TAIL } from './_detect.ts'

/** What a file of 1 MiB is, that holds these bytes at these places (negative: from the end). */
function formatsOf(...parts: readonly (readonly [at: number, bytes: string])[]): string[] {
  const file = Buffer.alloc(MiB)
  for (const [at, bytes] of parts) file.write(bytes, at < 0 ? file.length + at : at, 'latin1')
  const matches = detect({
    head: file.subarray(0, HEAD),
    tail: file.subarray(-TAIL),
    size: file.length,
  })
  return matches.map(({ format }) => format)
}

describe('a signature', () => {
  const rows: readonly (readonly [format: string, at: number, bytes: string])[] = [
    ['qcow2', 0, 'QFI\xfb\0\0\0\x03'],
    ['qcow2', 0, 'QFI\xfb\0\0\0\x09'],
    ['qcow', 0, 'QFI\xfb\0\0\0\x01'],
    ['vhdx', 0, 'vhdxfile'],
    ['vmdk', 0, 'KDMV'],
    ['vdi', 64, '\x7f\x10\xda\xbe'],
    ['vhd', 0, 'conectix'],
    ['vhd', -512, 'conectix'],
    ['vhd', -511, 'conectix'],
    ['qed', 0, 'QED\0'],
    ['parallels', 0, 'WithoutFreeSpace'],
    ['dmg', -512, 'koly'],
    ['luks', 0, 'LUKS\xba\xbe'],
    ['iso', 32 * KiB + 1, 'CD001'],
    ['iso', 34 * KiB + 1, 'NSR02'],
    ['zstd', 0, '\x52\x2a\x4d\x18'],
    ['bzip2', 0, 'BZh91AY&SY'],
    ['vmdk-descriptor', 0, '# Disk DescriptorFile\nversion=1\n'],
    ['vmdk-descriptor', 0, '# mine\n\n  \nversion=1\n'],
    ['vmdk-descriptor', 0, 'CID=1\nRW 2048 FLAT "/etc/passwd" 0\n'],
    ['vmdk-descriptor', 0, 'x=1\r\ncreateType="twoGbMaxExtentFlat"\r\n'],
    ['gpt', 512, 'EFI PART'],
    ['gpt', 4096, 'EFI PART'],
    ['btrfs', 64 * KiB + 64, '_BHRfS_M'],
    ['kernel', 0, '\x7fELF'],
    ['cpio', 0, '070701'],
  ]
  for (const [format, at, bytes] of rows)
    it(`tells ${format} by ${JSON.stringify(bytes.slice(0, 12))} at ${at}`, () =>
      assert.deepEqual(formatsOf([at, bytes]), [format]))

  it('is told beside every other one', () => {
    assert.deepEqual(formatsOf([0, 'QFI\xfb\0\0\0\x03'], [32 * KiB + 1, 'CD001'], [-512, 'koly']), [
      'dmg',
      'qcow2',
      'iso',
    ])
  })

  it('of a few bytes is not told by less', () => {
    assert.deepEqual(formatsOf([0, 'BZh9']), [])
    assert.deepEqual(formatsOf([257, 'ustar']), [])
    assert.deepEqual(formatsOf([0, 'MZ']), [])
    assert.deepEqual(formatsOf([-22, 'PK\x05\x06']), [])
  })
})

describe('a zip', () => {
  it('is told by its end, whatever stands before', () => {
    const directory = Buffer.alloc(12)
    directory.writeUInt32LE(100, 4)
    const record = `PK\x05\x06\0\0\0\0\x01\0\x01\0${directory.subarray(4).toString('latin1')}\0\0`
    assert.deepEqual(formatsOf([-22, record]), ['zip'])
  })
})

describe('55 aa at the end of the first sector', () => {
  const SIGNED = [510, '\x55\xaa'] as const
  const ENTRY = '\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\x10\0\0'

  it('is a partition table when an entry is in use', () => {
    assert.deepEqual(formatsOf(SIGNED), [])
    assert.deepEqual(formatsOf(SIGNED, [446, ENTRY]), ['mbr'])
    assert.deepEqual(formatsOf(SIGNED, [446, `\x12${ENTRY.slice(1)}`]), [])
  })

  it('is a FAT when its fields are those of one', () => {
    const fat = '\xeb\x3c\x90mkfs.fat\0\x02\x04\x01\0\x02\0\x02\0\0\xf8'
    assert.deepEqual(formatsOf(SIGNED, [0, fat]), ['vfat'])
  })

  it('is a kernel when its header follows, though that lies over the fourth entry', () => {
    const kernel = '\x27\x01\0\x20\x82\x0d\0\0\0\xff\xff\0\0\x55\xaa\xeb\x6aHdrS'
    assert.deepEqual(formatsOf([497, kernel]), ['kernel'])
    assert.deepEqual(formatsOf([497, kernel], [446, ENTRY]), ['mbr', 'kernel'])
  })
})

it('no bytes and no sizes make detection fail', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 700 }),
    fc
      .constantFrom('MZ', 'BZh9', 'PK\x05\x06', '\x52\x2a\x4d\x18', '# x\nversion=1', 'conectix')
      .map((text) => Uint8Array.from(Buffer.from(text, 'latin1'))),
  )
  fc.assert(
    fc.property(bytes, bytes, (start, end) => {
      const file = Buffer.concat([start, end])
      for (const match of detect({
        head: file.subarray(0, HEAD),
        tail: file.subarray(Math.max(0, file.length - TAIL)),
        size: file.length,
      }))
        assert.ok(match.at >= 0 && match.at <= file.length)
    }),
  )
})
