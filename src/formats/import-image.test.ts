import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { openFileSource } from '../bytes/source.ts'
import { noise } from '../testing/contract-tree.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { importImage, type ImportOptions } from './import-image.ts'
import { openDisk } from './open-disk.ts'
import { loadParser } from './parsers.ts'
import { openSparseWriter } from './sparse-writer.ts'

const at = await tempDir()
await mkdir(at('out'))
const SIZE = 5 * MiB

/** A file system's look, noise, text that compresses, and zeros between them. */
function sampleDisk(): Buffer {
  const disk = Buffer.alloc(SIZE)
  disk.write('53ef', 1080, 'hex')
  noise(300 * KiB).copy(disk, 64 * KiB)
  disk.fill('all work and no play ', MiB, MiB + 400 * KiB)
  noise(777).copy(disk, 3 * MiB + 12345)
  disk.fill('the end', SIZE - 600)
  return disk
}

const disk = sampleDisk()
await writeFile(at('disk'), disk)

async function converted(format: string, ...options: string[]): Promise<Buffer> {
  const path = at(
    `image-${createHash('md5')
      .update(`${format} ${options.join(' ')}`)
      .digest('hex')}`,
  )
  await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, at('disk'), path])
  return await readFile(path)
}

async function* inChunks(bytes: Buffer, chunks: readonly number[]): AsyncGenerator<Buffer> {
  for (let from = 0, index = 0; from < bytes.length; index++) {
    const length = chunks[index % chunks.length] ?? 1
    yield Buffer.from(bytes.subarray(from, from + length))
    from += length
  }
}

async function imported(
  input: string | AsyncIterable<Uint8Array>,
  options: Partial<ImportOptions> = {},
  context = makeContext(),
) {
  const writer = await openSparseWriter(at('out/disk'), { digest: true, sync: false })
  const spoolDirectory = at('out')
  return await importImage(input, { name: 'image', writer, spoolDirectory, ...options }, context)
}

async function leavesNothing(input: AsyncIterable<Uint8Array>, what: string, check?: object) {
  await assert.rejects(imported(input), check ?? ((error) => isFailure(error)), what)
  assert.deepEqual(await readdir(at('out')), [], what)
}

/** Written to like by a guest, from behind, and grown, which moved its table to its end. */
async function grown(): Promise<Buffer> {
  const [path, first] = [at('grown'), 3 * MiB]
  await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', path, '3M'])
  await writeParts(path, 0, first)
  await runTool(['qemu-img', 'resize', '-q', '-f', 'qcow2', path, `${SIZE}`])
  await writeParts(path, first, SIZE)
  return await readFile(path)
}

async function writeParts(path: string, start: number, end: number): Promise<void> {
  const commands: string[] = []
  for (let offset = end - 64 * KiB; offset >= start; offset -= 64 * KiB) {
    const part = disk.subarray(offset, offset + 64 * KiB)
    if (part.every((byte) => byte === 0)) continue
    await writeFile(at(`part-${offset}`), part)
    commands.push('-c', `write -s ${at(`part-${offset}`)} ${offset} 64k`)
  }
  await runTool(['qemu-io', '-f', 'qcow2', ...commands, path])
}

const IMAGES: Record<string, () => Promise<Buffer>> = {
  raw: async () => disk,
  'raw.gz': async () => gzipSync(disk),
  'raw.zst': async () => zstdCompressSync(disk),
  qcow2: () => converted('qcow2'),
  'qcow2, written out of order': () => converted('qcow2', '-W', '-m', '8'),
  'qcow2, compressed': () => converted('qcow2', '-c'),
  'qcow2, compressed, clusters of 4 KiB': () => converted('qcow2', '-c', '-o', 'cluster_size=4k'),
  'qcow2, zstd': () => converted('qcow2', '-c', '-o', 'compression_type=zstd'),
  'qcow2, version 2': () => converted('qcow2', '-o', 'compat=0.10'),
  'qcow2.gz': async () => gzipSync(await converted('qcow2')),
  vmdk: () => converted('vmdk'),
  'vmdk, streamOptimized': () => converted('vmdk', '-o', 'subformat=streamOptimized'),
  vdi: () => converted('vdi'),
  'vdi, static': () => converted('vdi', '-o', 'static=on'),
  vhdx: () => converted('vhdx'),
  vhd: () => converted('vpc', '-o', 'force_size=on'),
  'vhd, fixed': () => converted('vpc', '-o', 'subformat=fixed,force_size=on'),
  'qcow2, that grew in use': grown,
}

/** Sizes of chunks; one of them is large, so that an image is not pushed byte by byte. */
const cuts = fc
  .array(fc.integer({ min: 1, max: 2000 }), { maxLength: 4 })
  .map((sizes) => [...sizes, 100_000])

const { contentDigest } = await imported(inChunks(disk, [MiB]))
await rm(at('out/disk'))

describe('an image is imported from a stream that cannot seek', () => {
  for (const [name, make] of Object.entries(IMAGES))
    it(name, async () => {
      const image = await make()
      const [claim = ''] = name.split(',')
      await fc.assert(
        fc.asyncProperty(cuts, async (sizes) => {
          const result = await imported(inChunks(image, sizes), { claim })
          const written = await readFile(at('out/disk'))
          assert.equal(result.virtualSize, SIZE)
          assert.equal(Buffer.compare(written, disk), 0, 'the disk differs')
          assert.equal(result.sourceSize, image.length)
          assert.equal(result.sourceDigest, createHash('sha256').update(image).digest('hex'))
          assert.equal(result.contentDigest, contentDigest)
          assert.equal(result.format, claim)
        }),
        { numRuns: 2, examples: [[[MiB]]] },
      )
      await rm(at('out/disk'))
    })

  it('whose disk ends inside its last compressed cluster', async () => {
    const odd = Buffer.alloc(3 * MiB + 512)
    odd.fill('first', 0, 512)
    odd.fill('last', 3 * MiB)
    await writeFile(at('odd'), odd)
    for (const size of ['512', '64k', '2M']) {
      const options = ['-f', 'raw', '-O', 'qcow2', '-c', '-o', `cluster_size=${size}`]
      await runTool(['qemu-img', 'convert', ...options, at('odd'), at('image')])
      const image = await readFile(at('image'))
      const { virtualSize } = await imported(inChunks(image, [MiB]), { claim: 'qcow2' })
      assert.equal(virtualSize, odd.length)
      assert.equal(Buffer.compare(await readFile(at('out/disk')), odd), 0, size)
    }
    await rm(at('out/disk'))
  })

  it('and what stands before its tables is put aside, and said so', async () => {
    const { spooled, findings } = await imported(inChunks(await grown(), [100_000]), {
      claim: 'qcow2',
    })
    assert.ok(spooled > 0)
    assert.ok(findings.some(({ code }) => code === 'OUT_OF_ORDER'))
    await rm(at('out/disk'))
  })
})

describe('a file of the same image', () => {
  it('is imported, and is read at any place, with the same bytes', async () => {
    for (const name of [
      'qcow2, compressed',
      'vmdk, streamOptimized',
      'vhd',
      'vhdx',
      'vdi',
      'vhd, fixed',
      'raw.gz',
    ]) {
      const image = await IMAGES[name]?.()
      await writeFile(at('image'), image ?? '')
      const [format] = name.split(',')
      await imported(at('image'), { claim: format })
      assert.equal(Buffer.compare(await readFile(at('out/disk')), disk), 0, name)
      if (name === 'raw.gz') continue
      await using file = await openFileSource(at('image'))
      const parser = await loadParser(format ?? '')
      assert.ok(parser)
      const opened = await openDisk(file, parser)
      assert.equal(Buffer.compare(await opened.read(0, SIZE), disk), 0, name)
    }
    await rm(at('out/disk'))
  })
})

describe('of an image that cannot be taken nothing is left', () => {
  it('when it is cut, wherever', async () => {
    for (const name of ['qcow2', 'vmdk, streamOptimized', 'vhdx', 'vdi', 'raw.gz']) {
      const image = (await IMAGES[name]?.()) ?? Buffer.alloc(0)
      for (const length of [600, 70_000, Math.floor(image.length * 0.6)])
        await leavesNothing(inChunks(image.subarray(0, length), [50_000]), `${name}: ${length}`)
    }
  })

  it('when it reaches for another file', async () => {
    await runTool([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      at('disk'),
      '-F',
      'raw',
      at('layer'),
    ])
    const failure = failsWith('IMAGE_UNSAFE')
    await leavesNothing(inChunks(await readFile(at('layer')), [4096]), 'layer', failure)
  })

  it('when it is not what it is said to be', async () => {
    const refused = imported(inChunks(disk, [MiB]), { claim: 'qcow2' })
    await assert.rejects(refused, failsWith('IMAGE_UNSAFE'))
    assert.deepEqual(await readdir(at('out')), [])
  })

  it('when the stream breaks, or somebody says stop', async () => {
    const image = await converted('qcow2')
    async function* breaking() {
      yield image.subarray(0, 300_000)
      throw new Error('the line went dead')
    }
    await leavesNothing(breaking(), 'breaking', /the line went dead/)
    const control = new AbortController()
    async function* stopping() {
      yield image.subarray(0, 300_000)
      control.abort()
      yield image.subarray(300_000)
    }
    const context = makeContext({ signal: control.signal })
    await assert.rejects(imported(stopping(), {}, context), failsWith('INTERRUPTED'))
    assert.deepEqual(await readdir(at('out')), [])
  })
})
