import { readFile } from 'node:fs/promises'
import { describe } from 'node:test'
import { MiB } from '../../base/units.ts'
import type { FindingCode } from '../finding.ts'
import { refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { vmdkParser } from './vmdk.ts'

const DISK = sampleDisk(40 * MiB)
const { converted } = await qemuImages('vmdk', DISK)
const imageOf = async (...options: string[]) => await readFile(await converted(...options))

/** Where qemu-img puts the descriptor, and for two tables the redundant directory, and all else. */
const TEXT = 512
const [COPY, COPY_TABLE] = [21 * 512, 22 * 512]
const [DIRECTORY, TABLE] = [30 * 512, 31 * 512]
const SECOND_TABLE = TABLE + 2048
const GRAINS = 128 * 512

describe('refuses a VMDK', () => {
  const good = imageOf()
  const { broken, refused, changed } = refusals(vmdkParser, good)
  const somewhere = (title: string, code: FindingCode, offset: number, hex: string) =>
    refused(title, code, undefined, () => changed([[offset, hex]]))
  const text = (from: string, to: string) => async () => {
    const image = Buffer.from(await good)
    const changedText = image.toString('latin1', TEXT, TEXT + 10240).replace(from, to)
    image.write(changedText.slice(0, 10240), TEXT, 'latin1')
    return image
  }

  describe('by its header:', () => {
    broken('no magic', 'HEADER_INVALID', 0, '00')
    broken('version 0', 'FORMAT_VERSION', 4, '00')
    broken('version 4', 'FORMAT_VERSION', 4, '04')
    broken('tracked changes', 'UNKNOWN_FEATURE', 4, '03')
    broken('unknown flags', 'UNKNOWN_FEATURE', 8, '0b')
    broken('compression without markers', 'FORMAT_UNSUPPORTED', 8, '03000100')
    broken('markers without compression', 'FORMAT_UNSUPPORTED', 8, '03000200')
    broken('a compression that its flags do not tell of', 'UNKNOWN_FEATURE', 77, '01')
    broken('an unclean end', 'DIRTY', 72, '01')
    broken('translated newlines', 'HEADER_INVALID', 73, '0a0a0a0a')
    somewhere('another size than its descriptor', 'SIZE_MISMATCH', 12, '08')
    broken('a size beyond all measure', 'SIZE_LIMIT', 12, '0000000000010000')
    broken('a size beyond 2^53', 'OUT_OF_RANGE', 12, '000000000000ff00')
    refused('a directory beyond all measure', 'TABLE_TOO_LARGE', 12, () =>
      changed([
        [12, '0000000008000000'],
        [20, '08'],
      ]),
    )
    for (const sectors of ['00', '03', '04', '88'])
      broken(`grains of 0x${sectors} sectors`, 'OUT_OF_RANGE', 20, sectors)
    broken('grains too large', 'OUT_OF_RANGE', 20, '00100000')
    broken('tables of other lengths', 'OUT_OF_RANGE', 44, '0004')
    broken('no descriptor', 'FORMAT_UNSUPPORTED', 28, '00')
    broken('a descriptor of no bytes', 'FORMAT_UNSUPPORTED', 36, '00', 28)
    broken('a descriptor too large', 'TABLE_TOO_LARGE', 36, '81')
    somewhere('a descriptor in other things', 'OVERLAP', 28, '0a')
    broken('a descriptor behind the end', 'TRUNCATED', 31, '01', 28)
    broken('a directory in the header', 'OVERLAP', 56, '00')
    broken('a directory in the descriptor', 'OVERLAP', 56, '02')
    broken('a directory behind the end', 'TRUNCATED', 60, '01', 56)
    broken('a redundant directory behind the end', 'TRUNCATED', 52, '01', 48)
    somewhere('a redundant directory that is the directory', 'OVERLAP', 48, '1e')
    somewhere('a directory that no footer tells of', 'HEADER_INVALID', 56, 'f'.repeat(16))
    somewhere('grains that begin behind the first one', 'OVERLAP', 64, '81')
  })

  describe('by its descriptor:', () => {
    const lie = (title: string, code: FindingCode, from: string, to: string) =>
      refused(title, code, undefined, text(from, to))
    lie('a path', 'EXTERNAL_REFERENCE', 'SPARSE "', 'SPARSE "/')
    lie('a parent', 'PARENT', 'parentCID=f', 'parentCID=0')
    lie('a type that is spread over files', 'FORMAT_UNSUPPORTED', 'monolithicS', 'twoGbMaxExtentS')
    lie('the type of a stream', 'FORMAT_UNSUPPORTED', 'monolithicSparse', 'streamOptimized')
    lie('another size than the header', 'SIZE_MISMATCH', 'RW 81920', 'RW 81921')
    refused('no text', 'DESCRIPTOR_INVALID', TEXT, () => changed([[TEXT, '00'.repeat(1024)]]))
  })

  describe('by its tables:', () => {
    /** The same change in both copies. */
    const inBoth = (title: string, code: FindingCode, entry: number, hex: string) =>
      refused(title, code, COPY_TABLE + entry, () =>
        changed([
          [TABLE + entry, hex],
          [COPY_TABLE + entry, hex],
        ]),
      )
    broken('a table twice', 'OVERLAP', DIRECTORY + 4, '1f')
    broken('a table in the header', 'OVERLAP', COPY, '02')
    broken('a table behind the end', 'TRUNCATED', DIRECTORY + 4, 'ffffff7f')
    somewhere('a table that the copy has', 'COPIES_DIFFER', DIRECTORY, '00000000')
    somewhere('a table that the copy has not', 'COPIES_DIFFER', COPY, '00000000')
    broken('tables that differ', 'COPIES_DIFFER', TABLE, '00000000')
    broken('second tables that differ', 'COPIES_DIFFER', SECOND_TABLE + 400, '01', SECOND_TABLE)
    inBoth('a grain in the header', 'OVERLAP', 0, '01000000')
    inBoth('a grain in its table', 'OVERLAP', 0, '1f000000')
    inBoth('a grain twice', 'OVERLAP', 16, '80000000')
    inBoth('a grain behind the end', 'TRUNCATED', 0, 'ffffff7f')
    inBoth('a grain that the disk has not', 'OUT_OF_RANGE', 2048 + 1024, '00020000')
    refused('that is cut in a grain', 'TRUNCATED', undefined, async () =>
      (await good).subarray(0, GRAINS + 1000),
    )
    refused('that is cut in a table', 'TRUNCATED', undefined, async () =>
      (await good).subarray(0, COPY_TABLE + 1000),
    )
    refused('that is cut in its descriptor', 'TRUNCATED', 28, async () =>
      (await good).subarray(0, 1000),
    )
  })
})

describe('refuses a compressed VMDK with its tables in front', () => {
  const good = imageOf('-o', 'subformat=streamOptimized')
  const { broken, refused, changed } = refusals(vmdkParser, good)
  const somewhere = (title: string, code: FindingCode, offset: number, hex: string) =>
    refused(title, code, undefined, () => changed([[offset, hex]]))
  broken('of an unknown compression', 'UNKNOWN_FEATURE', 77, '02')
  broken('with a grain whose marker says another one', 'COPIES_DIFFER', GRAINS + 1, '10', GRAINS)
  broken('with a grain behind the end of the disk', 'OUT_OF_RANGE', GRAINS + 4, '01', GRAINS)
  broken('with a payload beyond all measure', 'OUT_OF_RANGE', GRAINS + 8, '01000200')
  broken('with a payload of no bytes', 'OUT_OF_RANGE', GRAINS + 8, '00000000')
  somewhere('with a payload that reaches into the next grain', 'OVERLAP', GRAINS + 9, '02')
  refused('with a grain between those of the tables', 'COPIES_DIFFER', undefined, () =>
    changed([
      [TABLE + 4, '00000000'],
      [COPY_TABLE + 4, '00000000'],
    ]),
  )
  refused('with a grain behind those of the tables', 'COPIES_DIFFER', undefined, async () => {
    const image = Buffer.from(await good)
    // The last grain of the disk, which is the last of the file, is told of no more.
    const last = SECOND_TABLE - TABLE + 127 * 4
    image.fill(0, TABLE + last, TABLE + last + 4)
    image.fill(0, COPY_TABLE + last, COPY_TABLE + last + 4)
    return image
  })
  refused('that is cut in a grain', 'TRUNCATED', undefined, async () =>
    (await good).subarray(0, GRAINS + 1000),
  )
})
