import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { GiB, KiB, MiB } from '../../base/units.ts'
import { memorySource, openFileSource } from '../../bytes/source.ts'
import type { FindingCode } from '../finding.ts'
import { assertBounded, parseBytes, refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { openDisk } from '../open-disk.ts'
import { vhdParser } from './vhd.ts'

const DISK = sampleDisk(8 * MiB + 512)
const { converted, created, contentOf } = await qemuImages('vpc', DISK)

/** Where qemu-img puts the header, the table and the first block. */
const HEADER = 512
const BAT = 1536
const BLOCK = 2048
const good = converted('-o', 'force_size=on').then((image) => readFile(image))
const fixed = converted('-o', 'subformat=fixed,force_size=on').then((image) => readFile(image))

describe('finds nothing in a VHD that qemu-img wrote, and its content', () => {
  const variants: Record<string, string[]> = {
    dynamic: [],
    'dynamic, of the exact size': ['-o', 'force_size=on'],
    'dynamic, nothing left out': ['-S', '0'],
    'dynamic, out of order': ['-W', '-m', '8'],
    fixed: ['-o', 'subformat=fixed'],
    'fixed, of the exact size': ['-o', 'subformat=fixed,force_size=on'],
    'fixed, in advance': ['-o', 'subformat=fixed,preallocation=full'],
  }
  for (const [name, options] of Object.entries(variants))
    it(name, async () => {
      const image = await converted(...options)
      await using file = await openFileSource(image)
      const disk = await openDisk(file, vhdParser)
      assert.deepEqual(disk.findings, [])
      const [found, wanted] = [await disk.read(0, disk.size), await contentOf(image)]
      assert.equal(Buffer.compare(found, wanted), 0, 'contents differ')
    })

  for (const size of ['0', '512', '1M', '127G', '2040G'])
    it(`empty, of ${size}`, async () => {
      const { safe, findings, extents } = await parseBytes(
        vhdParser,
        await readFile(await created(size, '-o', 'force_size=on')),
      )
      assert.deepEqual([safe, findings, extents], [true, [], []])
    })
})

/** A copy with changes, whose check sums are right again. */
async function sealed(image: Promise<Buffer>, edit: (copy: Buffer) => void): Promise<Buffer> {
  const copy = Buffer.from(await image)
  edit(copy)
  if (copy.toString('latin1', 0, 8) === 'conectix') {
    seal(copy, 0, 512, 64)
    seal(copy, HEADER, 1024, 36)
  }
  seal(copy, copy.length - 512, 512, 64)
  return copy
}

function seal(bytes: Buffer, start: number, length: number, field: number): void {
  bytes.writeUInt32BE(0, start + field)
  const sum = bytes.subarray(start, start + length).reduce((total, byte) => total + byte, 0)
  bytes.writeUInt32BE(~sum >>> 0, start + field)
}

/** The same edit of the footer and of its copy. */
const inFooters = (edit: (footer: Buffer) => void) => (image: Buffer) => {
  edit(image.subarray(0, 512))
  edit(image.subarray(image.length - 512))
}

const CLEAN = { safe: true, disk: { virtualSize: DISK.length }, codes: [] }

async function findingsOf(bytes: Buffer): Promise<object> {
  const { safe, findings, disk } = await parseBytes(vhdParser, bytes)
  const codes = findings.map(({ code, severity, at }) => [code, severity, at])
  return { safe, disk, codes }
}

describe('of a VHD', () => {
  it('the size is what the footer says; where programs would go by the geometry, it is told', async () => {
    const image = await sealed(
      good,
      inFooters((footer) => {
        footer.write('vbox', 28, 'latin1')
        footer.write('00f00411', 56, 'hex') // 240 cylinders, 4 heads, 17 sectors
      }),
    )
    assert.deepEqual(await findingsOf(image), {
      ...CLEAN,
      codes: [['SIZE_MISMATCH', 'warn', 48]],
    })
  })

  it('the size is not in doubt at the largest geometry', async () => {
    const image = await sealed(
      good,
      inFooters((footer) => {
        footer.write('vbox', 28, 'latin1')
        footer.write('ffff10ff', 56, 'hex')
      }),
    )
    assert.deepEqual(await findingsOf(image), CLEAN)
  })

  it('sectors that the bitmap leaves out read as zeros, and are told once', async () => {
    const image = Buffer.from(await good)
    image.writeUInt8(0b1011_1111, BLOCK) // all of the disk's first block but sectors 1,
    image.fill(0, BLOCK + 100, BLOCK + 102) // 800 to 815
    image.writeUInt8(0b1111_1110, BLOCK + 511) // and 4095
    const wanted = Buffer.from(DISK)
    for (const [first, end] of [
      [1, 2],
      [800, 816],
      [4095, 4096],
    ] as const)
      wanted.fill(0, first * 512, end * 512)
    await using disk = await openDisk(memorySource(image), vhdParser)
    assert.equal(Buffer.compare(await disk.read(0, disk.size), wanted), 0)
    assert.deepEqual(
      disk.findings.map(({ code, severity, at }) => [code, severity, at]),
      [['ODD', 'info', BLOCK]],
    )
  })

  it('the bits behind the end of the disk do not matter', async () => {
    const image = Buffer.from(await good)
    const last = image.readUInt32BE(BAT + 16) * 512
    image.fill(0, last, last + 512)
    image.writeUInt8(0x80, last)
    assert.deepEqual(await findingsOf(image), CLEAN)
  })

  it('the footer may have 511 bytes, as in old files', async () => {
    for (const image of [await good, await fixed]) {
      const cut = image.subarray(0, image.length - 1)
      assert.deepEqual(await findingsOf(cut), CLEAN)
    }
  })

  it('reserved bytes that are used are told, and harmless', async () => {
    const image = await sealed(good, (copy) => {
      inFooters((footer) => footer.writeUInt8(1, 85))(copy)
      copy.writeUInt8(1, HEADER + 1023)
    })
    assert.deepEqual(await findingsOf(image), {
      ...CLEAN,
      codes: [
        ['ODD', 'warn', 85],
        ['ODD', 'warn', HEADER + 768],
      ],
    })
  })

  it('blocks are read in the order of the file', async () => {
    const image = Buffer.from(await good)
    const [first, second] = [image.readUInt32BE(BAT), image.readUInt32BE(BAT + 16)]
    image.writeUInt32BE(second, BAT)
    image.writeUInt32BE(first, BAT + 16)
    const { extents } = await parseBytes(vhdParser, image)
    const hosts = extents.map(({ host }) => host)
    assert.ok(hosts.length > 1)
    assert.deepEqual(
      hosts,
      hosts.toSorted((a, b) => a - b),
    )
  })
})

describe('refuses a dynamic VHD', () => {
  const { broken, refused } = refusals(vhdParser, good)
  const lie = (
    title: string,
    code: FindingCode,
    at: number | undefined,
    edit: (image: Buffer) => void,
  ) => refused(title, code, at, () => sealed(good, edit))
  const size = async () => (await good).length

  broken('with a wrong check sum of its footer', 'CHECKSUM', 64, '00')
  broken('with a wrong check sum of its header', 'CHECKSUM', HEADER + 36, '00')
  lie('of another version', 'FORMAT_VERSION', 12, (image) => image.writeUInt32BE(0x20000, 12))
  lie('with unknown features', 'UNKNOWN_FEATURE', 8, (image) => image.writeUInt32BE(6, 8))
  lie('without the feature that is always set', 'HEADER_INVALID', 8, (image) =>
    image.writeUInt32BE(0, 8),
  )
  lie('that is a difference', 'PARENT', 60, (image) => image.writeUInt32BE(4, 60))
  lie('of an unknown type', 'HEADER_INVALID', 60, (image) => image.writeUInt32BE(5, 60))
  lie('that says it is fixed', 'HEADER_INVALID', 60, (image) => image.writeUInt32BE(2, 60))
  lie('with a saved state', 'DIRTY', 84, (image) => image.writeUInt8(1, 84))
  lie('of more than 2040 GiB', 'SIZE_LIMIT', 48, (image) =>
    image.writeBigUInt64BE(BigInt(2040 * GiB + 512), 48),
  )
  lie('of 2^63 bytes', 'OUT_OF_RANGE', 48, (image) => image.writeBigUInt64BE(2n ** 63n, 48))
  lie('of half a sector', 'HEADER_INVALID', 48, (image) => image.writeUInt8(1, 55))
  lie('with its header at an odd place', 'MISALIGNED', 16, (image) => image.writeUInt8(1, 23))
  lie('with its header in the footer', 'OVERLAP', 16, (image) => image.writeBigUInt64BE(0n, 16))
  lie('with its header behind the end', 'TRUNCATED', 16, (image) =>
    image.writeBigUInt64BE(2n ** 40n, 16),
  )
  lie('without a header', 'HEADER_INVALID', HEADER, (image) => image.write('x', HEADER))
  lie('with a header of another version', 'FORMAT_VERSION', HEADER + 24, (image) =>
    image.writeUInt32BE(0x10001, HEADER + 24),
  )
  lie('with something behind its header', 'UNKNOWN_FEATURE', HEADER + 8, (image) =>
    image.writeBigUInt64BE(4096n, HEADER + 8),
  )
  lie('with the identifier of a parent', 'PARENT', HEADER + 40, (image) =>
    image.writeUInt8(1, HEADER + 55),
  )
  lie('with the name of a parent', 'PARENT', HEADER + 64, (image) =>
    image.writeUInt8(1, HEADER + 575),
  )
  lie('with the locator of a parent', 'PARENT', HEADER + 744, (image) =>
    image.writeUInt8(1, HEADER + 767),
  )
  for (const blockSize of [0, 3, 512, 32 * KiB, 2 * MiB + 512, 512 * MiB, 0xfffffe00])
    lie(`with blocks of ${blockSize} bytes`, 'OUT_OF_RANGE', HEADER + 32, (image) =>
      image.writeUInt32BE(blockSize, HEADER + 32),
    )
  lie('with a table too small', 'TABLE_TOO_SMALL', HEADER + 28, (image) =>
    image.writeUInt32BE(4, HEADER + 28),
  )
  lie('with a table beyond all measure', 'TABLE_TOO_LARGE', HEADER + 28, (image) =>
    image.writeUInt32BE(0xffffffff, HEADER + 28),
  )
  lie('with its table at an odd place', 'MISALIGNED', HEADER + 16, (image) =>
    image.writeBigUInt64BE(1537n, HEADER + 16),
  )
  lie('with its table in the header', 'OVERLAP', HEADER + 16, (image) =>
    image.writeBigUInt64BE(1024n, HEADER + 16),
  )
  lie('with its table beyond 2^53', 'OUT_OF_RANGE', HEADER + 16, (image) =>
    image.writeBigUInt64BE(2n ** 62n, HEADER + 16),
  )
  lie('with a block behind the end of the disk', 'OUT_OF_RANGE', BAT + 20, (image) => {
    image.writeUInt32BE(6, HEADER + 28)
    image.writeUInt32BE(9, BAT + 20)
  })
  broken('with a block in its table', 'OVERLAP', BAT, '00000003')
  broken('with a block in its header', 'OVERLAP', BAT, '00000000')
  broken('with a block twice', 'OVERLAP', BAT + 16, '00000004')
  broken('with a block behind the end', 'TRUNCATED', BAT, '7fffffff')
  lie('with a block in the footer', 'OVERLAP', undefined, (image) =>
    image.writeUInt32BE(image.length / 512 - 2, BAT + 16),
  )
  refused('whose footer says something else', 'COPIES_DIFFER', undefined, async () =>
    sealed(good, (image) => image.writeUInt8(9, image.length - 512 + 80)),
  )
  refused('without a footer', 'TRUNCATED', undefined, async () =>
    (await good).subarray(0, (await size()) - 512),
  )
  refused('that is cut in a block', 'TRUNCATED', undefined, async () =>
    (await good).subarray(0, (await size()) - MiB),
  )
  refused('that is cut in its table', 'TRUNCATED', HEADER + 16, async () =>
    (await good).subarray(0, 1540),
  )
})

describe('refuses a fixed VHD', () => {
  const { refused } = refusals(vhdParser, fixed)
  const lie = (title: string, code: FindingCode, field: number, edit: (footer: Buffer) => void) =>
    refused(title, code, DISK.length + field, () =>
      sealed(fixed, (image) => edit(image.subarray(image.length - 512))),
    )
  lie('larger than its file', 'TRUNCATED', 48, (footer) => footer.writeUInt32BE(1, 48))
  lie('smaller than its file', 'SIZE_MISMATCH', 48, (footer) => footer.writeUInt32BE(512, 52))
  lie('with a header', 'HEADER_INVALID', 16, (footer) => footer.writeBigUInt64BE(512n, 16))
  lie('that is a difference', 'PARENT', 60, (footer) => footer.writeUInt32BE(4, 60))
  lie('with a saved state', 'DIRTY', 84, (footer) => footer.writeUInt8(1, 84))
  refused('that says it is dynamic', 'COPIES_DIFFER', 0, () =>
    sealed(fixed, (image) => {
      image.writeUInt32BE(3, image.length - 512 + 60)
      image.writeBigUInt64BE(512n, image.length - 512 + 16)
    }),
  )
  refused('with a wrong check sum', 'CHECKSUM', DISK.length + 64, async () => {
    const image = Buffer.from(await fixed)
    image.writeUInt32BE(1, image.length - 512 + 64)
    return image
  })
  refused('without a footer', 'HEADER_INVALID', DISK.length - 512, async () => DISK)
  refused('of less than a sector', 'TRUNCATED', 0, async () => DISK.subarray(0, 100))
})

it('is done with a damaged VHD within bounds, whatever was damaged', async () => {
  const image = await good
  await assertBounded(vhdParser, image, [
    [0, 512],
    [HEADER, BAT + 20],
    [image.length - 512, image.length],
  ])
})
