import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { Failure, isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { noise } from '../testing/contract-tree.ts'
import { makeExtImage, makeSparse } from '../testing/ext-image.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openImage, WORK_FORMATS } from './open-image.ts'

const at = await tempDir()
await makeExtImage(at('disk'), MiB, { '/file': 'text' })

const openedAs = async (path: string, format?: 'raw' | 'qcow2') => {
  await using image = await openImage(path, { format })
  return image.format
}

async function refusedAs(format: string): Promise<Failure> {
  const error: unknown = await openImage(at('other'), { among: WORK_FORMATS }).catch(
    (error: unknown) => error,
  )
  assert.ok(isFailure(error, 'IMAGE_UNREADABLE'), String(error))
  assert.equal(error.details['format'], format)
  assert.ok(error.message.includes(` is ${format} `), error.message)
  return error
}

async function refused(content: Uint8Array | string, says: RegExp): Promise<void> {
  await writeFile(at('other'), content)
  await assert.rejects(openImage(at('other')), (error) => {
    assert.ok(isFailure(error), String(error))
    assert.match(`${error.code}: ${error.message}`, says)
    return true
  })
}

describe('an image is opened by its content', () => {
  it('raw: a disk with a file system', async () => {
    await using image = await openImage(at('disk'))
    assert.deepEqual([image.format, image.disk.size], ['raw', MiB])
    assert.equal(Buffer.from(await image.disk.read(1080, 2)).toString('hex'), '53ef')
  })

  it('raw: a disk with a partition table, and one that is still empty', async () => {
    await makeSparse(at('empty'), MiB)
    assert.equal(await openedAs(at('empty')), 'raw')
    await runTool(['sfdisk', '-q', '--no-reread', at('empty')], {
      input: 'label: dos\nstart=1, size=1\n',
    })
    assert.equal(await openedAs(at('empty')), 'raw')
  })

  it('qcow2, whatever its name says', async () => {
    await runTool(['qemu-img', 'convert', '-O', 'qcow2', at('disk'), at('really.raw')])
    await using image = await openImage(at('really.raw'))
    assert.deepEqual([image.format, image.disk.size], ['qcow2', MiB])
    assert.equal(Buffer.from(await image.disk.read(1080, 2)).toString('hex'), '53ef')
  })

  for (const [written, format] of [
    ['vdi', 'vdi'],
    ['vhdx', 'vhdx'],
    ['vmdk', 'vmdk'],
    ['vpc', 'vhd'],
  ] as const)
    it(`${format}, to be read`, async () => {
      const size = written === 'vpc' ? ['-o', 'force_size=on'] : []
      await runTool(['qemu-img', 'convert', '-O', written, ...size, at('disk'), at('other')])
      await using image = await openImage(at('other'))
      assert.deepEqual([image.format, image.disk.size], [format, MiB])
      assert.equal(Buffer.from(await image.disk.read(1080, 2)).toString('hex'), '53ef')
    })

  it('or as the caller says, who may know better', async () => {
    assert.equal(await openedAs(at('really.raw'), 'raw'), 'raw')
    await assert.rejects(openImage(at('disk'), { format: 'qcow2' }), failsWith('IMAGE_UNREADABLE'))
  })
})

describe('an image to work in is refused by name', () => {
  for (const [format, named] of [
    ['vmdk', 'vmdk'],
    ['vhdx', 'vhdx'],
    ['vdi', 'vdi'],
    ['vpc', 'vhd'],
    ['qed', 'qed'],
    ['qcow', 'qcow'],
    ['parallels', 'parallels'],
  ] as const)
    it(`when qemu-img wrote it as ${format}`, async () => {
      await runTool(['qemu-img', 'convert', '-O', format, at('disk'), at('other')])
      await refusedAs(named)
    })

  it('when it is a fixed VHD, which is told by its end alone', async () => {
    await runTool([
      'qemu-img',
      'convert',
      '-O',
      'vpc',
      '-o',
      'subformat=fixed',
      at('disk'),
      at('other'),
    ])
    const { size } = await stat(at('other'))
    assert.equal((await refusedAs('vhd')).details['offset'], size - 512)
    assert.equal(await openedAs(at('other'), 'raw'), 'raw')
  })

  it('when it is a VMDK that names other files', async () => {
    await runTool([
      'qemu-img',
      'convert',
      '-O',
      'vmdk',
      '-o',
      'subformat=monolithicFlat',
      at('disk'),
      at('other'),
    ])
    await refusedAs('vmdk')
  })

  it('when it is packed, and says so', async () => {
    const disk = await readFile(at('disk'))
    await writeFile(at('other'), gzipSync(disk))
    assert.match((await refusedAs('gzip')).fix ?? '', /Unpack/)
    await writeFile(at('other'), zstdCompressSync(disk))
    await refusedAs('zstd')
    await runTool(['tar', '-C', at('.'), '-cf', at('other'), 'disk'])
    await refusedAs('tar')
  })

  it('when it is encrypted as a whole', async () => {
    const disk = await readFile(at('disk'))
    disk.write('LUKS\xba\xbe', 0, 'latin1')
    await writeFile(at('other'), disk)
    await assert.rejects(openImage(at('other')), failsWith('FILE_SYSTEM_ENCRYPTED'))
  })
})

describe('what is no image', () => {
  it('is missing, a directory, or empty', async () => {
    await mkdir(at('directory'))
    await assert.rejects(openImage(at('nothing')), failsWith('IMAGE_NOT_FOUND'))
    await assert.rejects(openImage(at('directory')), failsWith('FILE_UNREADABLE'))
    await refused('', /IMAGE_TRUNCATED: .* is empty/)
  })

  it('is not whole sectors long', () => refused(noise(1000), /IMAGE_TRUNCATED: .* 1000 bytes/))

  it('holds nothing that a disk holds', async () => {
    await refused(noise(64 * KiB), /IMAGE_UNREADABLE: .* no disk image/)
    await refused('plain text\n'.repeat(512), /IMAGE_UNREADABLE/)
    assert.equal(await openedAs(at('other'), 'raw'), 'raw')
  })
})
