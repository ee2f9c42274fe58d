import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB } from '../../base/units.ts'
import { openFileSource } from '../../bytes/source.ts'
import { assertBounded, parseBytes } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { openDisk } from '../open-disk.ts'
import { vmdkParser } from './vmdk.ts'

/** Two grain tables, and a last grain that is short. */
const DISK = sampleDisk(33 * MiB + 512)
const { converted, created, contentOf } = await qemuImages('vmdk', DISK)
const STREAM = 'subformat=streamOptimized'

async function assertGood(image: string): Promise<void> {
  await using file = await openFileSource(image)
  const disk = await openDisk(file, vmdkParser)
  assert.deepEqual(disk.findings, [])
  const [found, wanted] = [await disk.read(0, disk.size), await contentOf(image)]
  assert.equal(Buffer.compare(found, wanted), 0, 'contents differ')
}

describe('finds nothing in a VMDK that qemu-img wrote, and its content', () => {
  const variants: Record<string, string[]> = {
    'as it comes': [],
    'nothing left out': ['-S', '0'],
    'out of order': ['-W', '-m', '8'],
    'grains of zeros': ['-o', 'zeroed_grain=on'],
    'for LSI Logic': ['-o', 'adapter_type=lsilogic'],
    'for BusLogic': ['-o', 'adapter_type=buslogic'],
    'for ESX': ['-o', 'adapter_type=legacyESX'],
    'of version 6': ['-o', 'compat6=on'],
    'for hardware version 13': ['-o', 'hwversion=13'],
    'with a version of the tools': ['-o', 'toolsversion=10000'],
    compressed: ['-o', STREAM],
    'compressed, out of order': ['-W', '-m', '8', '-o', STREAM],
    'compressed, nothing left out': ['-S', '0', '-o', STREAM],
    'compressed, for LSI Logic': ['-o', `${STREAM},adapter_type=lsilogic`],
  }
  for (const [name, options] of Object.entries(variants))
    it(name, async () => assertGood(await converted(...options)))

  it('used by a machine', async () => {
    const image = await created('40M', '-o', 'zeroed_grain=on')
    const writes = ['write -P 7 38M 1M', 'write -P 8 0 64k', 'write -z 38M 64k', 'write 5k 1k']
    await runTool(['qemu-io', '-f', 'vmdk', ...writes.flatMap((each) => ['-c', each]), image])
    await assertGood(image)
  })

  for (const [size, options] of [
    ['0', []],
    ['512', []],
    ['2T', []],
    ['0', ['-o', STREAM]],
    ['2T', ['-o', STREAM]],
  ] as const)
    it(`empty, of ${size} ${options.join(' ')}`, async () => {
      await using file = await openFileSource(await created(size, ...options))
      const disk = await openDisk(file, vmdkParser)
      assert.deepEqual([disk.findings, [...disk.extents()]], [[], []])
    })
})

describe('of a VMDK', () => {
  it('grains that follow each other are one extent, up to the end of the disk', async () => {
    const { extents } = await parseBytes(vmdkParser, await readFile(await converted('-S', '0')))
    assert.deepEqual(extents, [{ kind: 'data', guest: 0, length: DISK.length, host: 128 * 512 }])
  })

  it('compressed grains are announced in the order of the file', async () => {
    const image = await readFile(await converted('-W', '-m', '8', '-o', STREAM))
    const { extents } = await parseBytes(vmdkParser, image)
    const hosts = extents.map(({ host }) => host)
    assert.ok(hosts.length > 10)
    assert.deepEqual(
      hosts,
      hosts.toSorted((a, b) => a - b),
    )
    assert.ok(extents.every(({ kind, length }) => kind === 'zlib' && length <= 64 * KiB))
  })

  it('entries of 1 are grains of zeros only where the header says so', async () => {
    const image = await readFile(await created('1G', '-o', 'zeroed_grain=on'))
    const table = image.readUInt32LE(Number(image.readBigUInt64LE(56)) * 512) * 512
    const copy = image.readUInt32LE(Number(image.readBigUInt64LE(48)) * 512) * 512
    for (const at of [table, copy]) image.writeUInt32LE(1, at)
    const { safe, extents, disk } = await parseBytes(vmdkParser, image)
    assert.deepEqual([safe, extents, disk], [true, [], { virtualSize: GiB }])
    image.writeUInt32LE(3, 8)
    assert.equal((await parseBytes(vmdkParser, image)).safe, false)
  })

  it('text behind the descriptor, and reserved bytes of the header, are told and harmless', async () => {
    const image = await readFile(await created('1M'))
    image.write('left over', 512 + 2000)
    image.writeUInt8(1, 500)
    const { safe, findings } = await parseBytes(vmdkParser, image)
    assert.equal(safe, true)
    assert.deepEqual(
      findings.map(({ code, at }) => [code, at]),
      [
        ['ODD', 79],
        ['ODD', 512 + image.toString('latin1', 512).indexOf('\0')],
      ],
    )
  })
})

describe('is done with a damaged VMDK within bounds, whatever was damaged:', () => {
  for (const options of [[], ['-o', STREAM]])
    it(options.join(' ') || 'monolithicSparse', async () => {
      const image = await readFile(await converted(...options))
      const directory = Number(image.readBigUInt64LE(56)) * 512
      const table = image.readUInt32LE(directory) * 512
      await assertBounded(vmdkParser, image, [
        [4, 80],
        [512, 1024],
        [directory, directory + 8],
        [table, table + 128],
        [128 * 512, 128 * 512 + 16],
      ])
    })
})
