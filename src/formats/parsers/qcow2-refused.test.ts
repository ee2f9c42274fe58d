import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { KiB, MiB } from '../../base/units.ts'
import { assertRefused, parseBytes, refusals } from '../../testing/parse-image.ts'
import { qemuImages, qemuImg, sampleDisk } from '../../testing/qemu-images.ts'
import type { FindingCode } from '../finding.ts'
import { qcow2Parser } from './qcow2.ts'

const { converted, created, path, disk } = await qemuImages('qcow2', sampleDisk(3 * MiB + 512))

const withDataFile = async () => readFile(await created('1M', '-o', `data_file=${path('d')}`))

const key = (format: string) => ['-o', `encrypt.format=${format},encrypt.key-secret=s`]

/** An image with a bitmap of changes, and where qemu-img put what belongs to it. */
async function withBitmap() {
  const image = await converted()
  await qemuImg('bitmap', '--add', image, 'changes')
  const bytes = await readFile(image)
  const extension = bytes.indexOf('2385287500000018', 0, 'hex')
  const directory = Number(bytes.readBigUInt64BE(extension + 24))
  const table = Number(bytes.readBigUInt64BE(directory))
  return { bytes, extension, directory, table }
}

/** A case: a part of that image is changed `at` bytes inside, which is found at its start. */
function brokenBitmap(
  title: string,
  code: FindingCode,
  part: 'extension' | 'directory' | 'table',
  at: number,
  hex: string,
): void {
  it(title, async () => {
    const image = await withBitmap()
    image.bytes.write(hex, image[part] + at, 'hex')
    const place = code === 'HEADER_INVALID' ? image[part] + at : image[part]
    await assertRefused(qcow2Parser, image.bytes, code, place)
  })
}

describe('refuses a qcow2', () => {
  const good = converted('-o', 'cluster_size=64k').then((image) => readFile(image))
  /** Header fields and tables of the good image, as qemu-img places them. */
  const [COUNTS, BLOCK, L1, L2] = [0x10000, 0x20000, 0x30000, 0x40000]
  const { broken, changed, refused } = refusals(qcow2Parser, good)

  describe('that reaches for something else:', () => {
    refused('a backing file', 'BACKING_FILE', 8, async () =>
      readFile(await created('1M', '-b', disk, '-F', 'raw')),
    )
    broken('a backing file without a name', 'BACKING_FILE', 8, '0000000000000200')
    broken('a backing file of no length', 'BACKING_FILE', 16, '00000001', 8)
    refused('a data file', 'DATA_FILE', 72, withDataFile)
    it('a data file whose feature is hidden', async () => {
      const bytes = Buffer.from(await withDataFile())
      bytes[79] = 0
      await assertRefused(qcow2Parser, bytes, 'DATA_FILE')
    })
    const secret = ['--object', 'secret,id=s,data=x']
    refused('a key (AES)', 'ENCRYPTED', 32, async () =>
      readFile(await created('1M', ...secret, ...key('aes'))),
    )
    refused('a key (LUKS)', 'ENCRYPTED', 32, async () => {
      const luks = [...secret, ...key('luks'), '-o', 'encrypt.iter-time=10']
      return await readFile(await tryAgain(() => created('1M', ...luks)))
    })
    refused('a key that only an extension tells of', 'ENCRYPTED', 112, () =>
      changed([[112, '0537be77000000100000000000000000000000000000000000000000']]),
    )
    refused('snapshots', 'SNAPSHOTS', 60, async () => {
      const image = await converted()
      await qemuImg('snapshot', '-c', 'before', image)
      return await readFile(image)
    })
  })

  describe('by its header:', () => {
    broken('no magic', 'HEADER_INVALID', 0, '00')
    broken('version 1', 'FORMAT_UNSUPPORTED', 4, '00000001')
    broken('version 4', 'FORMAT_VERSION', 4, '00000004')
    broken('clusters too small', 'HEADER_INVALID', 20, '00000008')
    broken('clusters too large', 'HEADER_INVALID', 20, '00000016')
    broken('half a sector', 'HEADER_INVALID', 31, '01', 24)
    broken('a size beyond all measure', 'SIZE_LIMIT', 24, 'ff')
    broken('an L1 table smaller than the disk', 'TABLE_TOO_SMALL', 24, '0000001000000000', 36)
    broken('an L1 table beyond all measure', 'TABLE_TOO_LARGE', 36, 'ffffffff')
    broken('an L1 table at an odd place', 'MISALIGNED', 47, '01', 40)
    broken('an L1 table in the header', 'OUT_OF_RANGE', 40, '0000000000000000')
    broken('an L1 table beyond 2^53', 'OUT_OF_RANGE', 40, 'ffffffffffff0000')
    broken('an L1 table behind the end', 'TRUNCATED', 42, 'ff', 40)
    broken('no refcount table', 'TABLE_TOO_SMALL', 56, '00000000')
    broken('a refcount table too large', 'TABLE_TOO_LARGE', 56, '00000081')
    broken('a refcount table at an odd place', 'MISALIGNED', 48, '0000000000010200')
    broken('a refcount table in the header', 'OUT_OF_RANGE', 48, '0000000000000000')
    broken('a refcount table in the L1 table', 'OVERLAP', 48, '0000000000030000', 40)
    broken('a dirty image', 'DIRTY', 79, '01', 72)
    broken('a corrupt image', 'DIRTY', 79, '02', 72)
    broken('features nobody knows', 'UNKNOWN_FEATURE', 72, '80')
    broken('counts of 128 bits', 'HEADER_INVALID', 96, '00000007')
    broken('a header too short', 'HEADER_INVALID', 100, '00000060')
    broken('a header of odd length', 'HEADER_INVALID', 100, '0000006c')
    broken('a header beyond its cluster', 'HEADER_INVALID', 100, '00010008')
    broken('an unknown compression', 'UNKNOWN_FEATURE', 104, '02')
    broken('a compression without its feature', 'HEADER_INVALID', 104, '01')
    broken('a feature without its compression', 'HEADER_INVALID', 79, '08', 104)
    broken('an extension beyond the cluster', 'HEADER_INVALID', 116, '00fffff8')
    broken('bitmaps of odd length', 'HEADER_INVALID', 112, '2385287500000008', 116)
    refused('extended entries in small clusters', 'HEADER_INVALID', 72, async () => {
      const bytes = await readFile(await created('1M', '-o', 'cluster_size=8k'))
      bytes[79] = 0x10
      return bytes
    })
    refused('a file that ends in the header', 'TRUNCATED', 0, async () =>
      (await good).subarray(0, 50),
    )
  })

  describe('by its tables:', () => {
    broken('reserved bits in the refcount table', 'ENTRY_INVALID', COUNTS, '0000000000020001')
    broken('a refcount block at an odd place', 'MISALIGNED', COUNTS, '0000000000020200')
    broken('a refcount block behind the end', 'TRUNCATED', COUNTS, '0000000f00000000')
    broken('a refcount block beyond all measure', 'OUT_OF_RANGE', COUNTS, 'ff')
    broken('a refcount block in the header', 'REFCOUNT', COUNTS, '0000000000000000', 0)
    refused('a refcount block that is also an L2 table', 'OVERLAP', L1, () =>
      changed([[COUNTS, '0000000000040000']]),
    )
    broken('two refcount blocks in one place', 'OVERLAP', COUNTS + 8, '0000000000020000')
    broken('a cluster that is used and counted as free', 'REFCOUNT', BLOCK + 10, '0000', 0x50000)
    broken('reserved bits in an L1 entry', 'ENTRY_INVALID', L1, '8100000000040000')
    broken('low bits in an L1 entry', 'ENTRY_INVALID', L1, '8000000000040001')
    broken('an L2 table at an odd place', 'MISALIGNED', L1, '8000000000040200')
    broken('an L2 table behind the end', 'TRUNCATED', L1, '8000000fff000000')
    broken('an L2 table in the L1 table', 'OVERLAP', L1, '8000000000030000')
    broken('reserved bits in an L2 entry', 'ENTRY_INVALID', L2, '8000000000050004')
    broken('high reserved bits in an L2 entry', 'ENTRY_INVALID', L2, 'a000000000050000')
    broken('a cluster at an odd place', 'MISALIGNED', L2, '8000000000050200')
    broken('a cluster behind the end', 'TRUNCATED', L2, '8000000fff000000')
    broken('a cluster in the header', 'MISALIGNED', L2, '8000000000000200')
    broken('a cluster in the L2 table', 'OVERLAP', L2, '8000000000040000')
    broken('a cluster twice', 'OVERLAP', L2 + 8, '8000000000050000')
    broken('a cluster twice, once read as zeros', 'OVERLAP', L2 + 8, '8000000000050001')
    broken('a cluster twice, once behind the disk', 'OVERLAP', L2 + 8000, '8000000000050000')
    broken('a payload behind the end', 'TRUNCATED', L2, '4000000fff000000')
    broken('a payload in the header', 'ENTRY_INVALID', L2, '4000000000000100')
    broken('a payload in the L2 table', 'OVERLAP', L2, '4000000000040010')
    broken('a payload where a cluster is', 'OVERLAP', L2 + 16, '4000000000050010')
    broken('a payload that is not shared', 'ENTRY_INVALID', L2, 'c000000000050010')
    broken('a payload larger than it makes sense', 'OUT_OF_RANGE', L2, '7fc0000000050010')
    refused('zeros of version 3 in version 2', 'ENTRY_INVALID', L2, async () => {
      const bytes = Buffer.from(await readFile(await converted('-o', 'compat=0.10')))
      bytes.write('8000000000050001', L2, 'hex')
      return bytes
    })
    refused('a cluster that is cut off', 'TRUNCATED', L2 + 47 * 8, async () =>
      (await good).subarray(0, (await good).length - 64 * KiB),
    )
    refused('a payload for too many clusters', 'OVERLAP', L2 + 36 * 8, async () => {
      const bytes = Buffer.from(await readFile(await converted('-c')))
      const first = L2 + 20 * 8
      for (let index = 1; index < 20; index++)
        bytes.copy(bytes, first + index * 8, first, first + 8)
      return bytes
    })
    const extended = async (bits: string) => {
      const image = await converted('-o', 'extended_l2=on,cluster_size=64k')
      const bytes = Buffer.from(await readFile(image))
      bytes.write(bits, L2 + 8, 'hex')
      return bytes
    }
    refused('parts of a cluster that are data and zeros', 'ENTRY_INVALID', L2 + 8, () =>
      extended('00000001ffffffff'),
    )
    refused('parts of a cluster that is nowhere', 'ENTRY_INVALID', L2 + 56 * 16 + 8, async () => {
      const bytes = await extended('00000000ffffffff')
      bytes.writeUInt32BE(1, L2 + 56 * 16 + 12)
      return bytes
    })
  })

  describe('by its bitmaps of changes:', () => {
    brokenBitmap('an extension of odd length', 'HEADER_INVALID', 'extension', 4, '00000010')
    brokenBitmap('more bitmaps than there may be', 'TABLE_TOO_LARGE', 'extension', 8, '00010000')
    brokenBitmap('a directory too large', 'TABLE_TOO_LARGE', 'extension', 16, '00000001')
    brokenBitmap('a directory at an odd place', 'MISALIGNED', 'extension', 30, '02')
    brokenBitmap('a directory in the L2 table', 'OVERLAP', 'extension', 24, '0000000000040000')
    brokenBitmap('a bitmap of another type', 'ENTRY_INVALID', 'directory', 16, '02')
    brokenBitmap('a bitmap larger than the disk', 'ENTRY_INVALID', 'directory', 8, '00000100')
    brokenBitmap('a name that is not all there', 'ENTRY_INVALID', 'directory', 18, 'ffff')
    brokenBitmap('a table at an odd place', 'MISALIGNED', 'directory', 6, '0200')
    brokenBitmap('a table in the L1 table', 'OVERLAP', 'directory', 0, '0000000000030000')
    brokenBitmap('a table with reserved bits', 'ENTRY_INVALID', 'table', 0, '0000000000000002')
    brokenBitmap('a bitmap in the header', 'ENTRY_INVALID', 'table', 0, '0000000000000200')
    brokenBitmap('a bitmap where a cluster is', 'OVERLAP', 'table', 0, '0000000000050000')
  })

  it('and names all that is wrong, not only the first', async () => {
    const { findings } = await parseBytes(
      qcow2Parser,
      await changed([
        [79, '03'],
        [L2, '8000000000050200'],
        [L2 + 8, '8000000000040000'],
      ]),
    )
    assert.deepEqual(
      findings.map(({ code, at }) => [code, at]),
      [
        ['DIRTY', 72],
        ['DIRTY', 72],
        ['MISALIGNED', L2],
        ['OVERLAP', L2 + 8],
      ],
    )
  })
  it('but not for clusters that are counted and not used', async () => {
    const { findings, safe } = await parseBytes(
      qcow2Parser,
      await changed([[BLOCK + 1000, '0003']]),
    )
    assert.deepEqual(
      [findings.map(({ code, severity }) => [code, severity]), safe],
      [[['UNUSED_BYTES', 'info']], true],
    )
  })
})

/** qemu-img times its key derivation and gives up when the clock of the processor is too coarse. */
async function tryAgain<Result>(make: () => Promise<Result>, attempts = 30): Promise<Result> {
  try {
    return await make()
  } catch (error) {
    if (attempts === 1) throw error
    return await tryAgain(make, attempts - 1)
  }
}
