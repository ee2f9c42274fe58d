import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { MiB } from '../../base/units.ts'
import { memorySource, openFileSource } from '../../bytes/source.ts'
import { assertBounded, parseBytes, refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { openDisk } from '../open-disk.ts'
import { vdiParser } from './vdi.ts'

const DISK = sampleDisk(6 * MiB + 512)
const { converted, created } = await qemuImages('vdi', DISK)

/** Where qemu-img puts the map, one entry for each MiB, and behind it the data. */
const MAP = 0x200
const DATA = 0x400
const good = converted().then((image) => readFile(image))

describe('a VDI that qemu-img wrote', () => {
  for (const [name, options] of Object.entries({
    dynamic: [],
    static: ['-o', 'static=on'],
    'with zeros written out': ['-S', '0'],
  }))
    it(`is good, and reads back byte for byte: ${name}`, async () => {
      await using file = await openFileSource(await converted(...options))
      const disk = await openDisk(file, vdiParser)
      assert.deepEqual(disk.findings, [])
      assert.equal(Buffer.compare(await disk.read(0, disk.size), DISK), 0)
    })

  it('is good when it is empty, and announces nothing', async () => {
    for (const size of ['0', '2T']) {
      const { safe, findings, extents } = await parseBytes(
        vdiParser,
        await readFile(await created(size)),
      )
      assert.deepEqual([safe, findings, extents], [true, [], []], size)
    }
  })

  it('announces blocks that follow each other as one', async () => {
    const { extents } = await parseBytes(vdiParser, await good)
    assert.deepEqual(extents, [
      { kind: 'data', guest: 0, length: 3 * MiB, host: DATA },
      { kind: 'data', guest: 5 * MiB, length: MiB + 512, host: DATA + 3 * MiB },
    ])
  })
})

async function edited(edit: (image: Buffer) => void) {
  const image = Buffer.from(await good)
  edit(image)
  return await parseBytes(vdiParser, image)
}

describe('of a VDI', () => {
  it('blocks that are known to be zeros read so', async () => {
    const { safe, extents } = await edited((image) => image.writeUInt32LE(0xfffffffe, MAP))
    assert.deepEqual([safe, extents[0]?.guest], [true, MiB])
  })
  it('blocks that nobody uses are told, and harmless', async () => {
    const { safe, findings } = await edited((image) => image.writeUInt32LE(0xffffffff, MAP))
    assert.deepEqual(
      [safe, findings.map(({ code, at }) => [code, at])],
      [true, [['UNUSED_BYTES', 0x184]]],
    )
  })
  it('half a sector is made whole, and told', async () => {
    const { safe, findings, disk } = await edited((image) => image.writeUInt16LE(511, 0x170))
    assert.deepEqual(
      [safe, findings.map(({ code, at }) => [code, at]), disk],
      [true, [['NOT_PADDED', 0x170]], { virtualSize: DISK.length }],
    )
  })
  it('the last block may end with the disk', async () => {
    const image = (await good).subarray(0, DATA + 4 * MiB + 512)
    await using disk = await openDisk(memorySource(image), vdiParser)
    assert.equal(Buffer.compare(await disk.read(0, disk.size), DISK), 0)
  })
})

describe('refuses a VDI', () => {
  const { broken, refused } = refusals(vdiParser, good)
  broken('without its signature', 'HEADER_INVALID', 0x40, '00')
  broken('of version 0.1', 'FORMAT_VERSION', 0x44, '01000000')
  broken('of version 1.2', 'FORMAT_VERSION', 0x44, '02000100')
  broken('with a header too short', 'HEADER_INVALID', 0x48, '7f010000')
  broken('with a header too long', 'HEADER_INVALID', 0x48, '01100000')
  broken('with a header that reaches into its map', 'OVERLAP', 0x48, 'c0010000', 0x154)
  broken('that is an undo image', 'PARENT', 0x4c, '03000000')
  broken('that is a difference', 'PARENT', 0x4c, '04000000')
  broken('of an unknown type', 'FORMAT_UNSUPPORTED', 0x4c, '05000000')
  broken('linked to a parent', 'PARENT', 0x1b0, '01', 0x1a8)
  broken('with the last change of a parent', 'PARENT', 0x1b8, '01')
  broken('with its map at an odd place', 'MISALIGNED', 0x154, '10020000')
  broken('with its map in the header', 'MISALIGNED', 0x154, '00000000')
  broken('with its map behind the end', 'TRUNCATED', 0x154, '000000ff')
  broken('with its data at an odd place', 'MISALIGNED', 0x158, '10040000')
  broken('with its data in the map', 'OVERLAP', 0x158, '00020000')
  broken('with its data in the header', 'MISALIGNED', 0x158, '00000000')
  broken('with sectors of 4 KiB', 'HEADER_INVALID', 0x168, '00100000')
  broken('with a size beyond all measure', 'SIZE_LIMIT', 0x170, 'ffffffffffffffff')
  broken('with a disk larger than its blocks', 'TABLE_TOO_SMALL', 0x170, '0000000001', 0x180)
  broken('with more blocks than its disk', 'TABLE_TOO_LARGE', 0x180, '08000000')
  broken('with blocks of 2 MiB', 'HEADER_INVALID', 0x178, '00002000')
  broken('with bytes before each block', 'FORMAT_UNSUPPORTED', 0x17c, '00020000')
  broken('with more blocks in the file than in the disk', 'OUT_OF_RANGE', 0x184, '08000000')
  broken('with a block that the file does not count', 'OUT_OF_RANGE', MAP, '05000000')
  broken('with a block twice', 'OVERLAP', MAP + 4, '00000000')
  refused('that is cut off', 'TRUNCATED', MAP + 5 * 4, async () =>
    (await good).subarray(0, (await good).length - 2 * MiB),
  )
  refused('that ends in its header', 'TRUNCATED', 0, async () => (await good).subarray(0, 500))
  refused('that ends in its map', 'TRUNCATED', 0x154, async () => (await good).subarray(0, MAP + 6))
})

it('is done with a damaged VDI within bounds, whatever was damaged', async () => {
  await assertBounded(vdiParser, await good, [
    [0x40, 0x1c8],
    [MAP, MAP + 28],
  ])
})
