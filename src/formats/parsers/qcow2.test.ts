import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB, TiB } from '../../base/units.ts'
import { memorySource, openFileSource } from '../../bytes/source.ts'
import { assertBounded, parseBytes } from '../../testing/parse-image.ts'
import { qemuImages, qemuImg, sampleDisk } from '../../testing/qemu-images.ts'
import { openDisk } from '../open-disk.ts'
import { parseSource } from '../_parse-source.ts'
import { DEFAULT_LIMITS } from '../parser.ts'
import { qcow2Parser } from './qcow2.ts'

const DISK = sampleDisk(3 * MiB + 512)
const { converted, created, contentOf } = await qemuImages('qcow2', DISK)
const qemuIo = (image: string, ...commands: string[]) =>
  runTool(['qemu-io', ...commands.flatMap((command) => ['-c', command]), image])

/** The image is as good as it gets, and holds what qemu-img says it does. */
async function assertGood(image: string): Promise<void> {
  await using file = await openFileSource(image)
  const disk = await openDisk(file, qcow2Parser)
  assert.deepEqual(disk.findings, [])
  const [found, wanted] = [await disk.read(0, disk.size), await contentOf(image)]
  assert.equal(Buffer.compare(found, wanted), 0, 'contents differ')
}

describe('finds nothing in a qcow2 that qemu-img wrote, and its content', () => {
  const variants: Record<string, string[]> = {
    'version 2': ['-o', 'compat=0.10'],
    'version 2, compressed': ['-c', '-o', 'compat=0.10'],
    'clusters of 512 bytes': ['-o', 'cluster_size=512'],
    'clusters of 512 bytes, compressed': ['-c', '-o', 'cluster_size=512'],
    'clusters of 1 KiB, zstd': ['-c', '-o', 'cluster_size=1k,compression_type=zstd'],
    'clusters of 4 KiB': ['-o', 'cluster_size=4k'],
    'clusters of 64 KiB': [],
    'clusters of 64 KiB, out of order': ['-W', '-m', '8', '-o', 'cluster_size=64k'],
    'compressed, out of order': ['-c', '-W', '-m', '8', '-o', 'cluster_size=4k'],
    'compressed zeros': ['-c', '-S', '0'],
    'zeros written out': ['-S', '0'],
    'clusters of 2 MiB': ['-o', 'cluster_size=2M'],
    'clusters of 2 MiB, compressed': ['-c', '-o', 'cluster_size=2M'],
    'clusters of 2 MiB, zstd': ['-c', '-o', 'cluster_size=2M,compression_type=zstd'],
    'counts of 1 bit': ['-o', 'refcount_bits=1'],
    'counts of 1 bit, compressed': ['-c', '-o', 'refcount_bits=1,cluster_size=4k'],
    'counts of 2 bits, compressed': ['-c', '-o', 'refcount_bits=2,cluster_size=4k'],
    'counts of 8 bits, compressed': ['-c', '-o', 'refcount_bits=8,cluster_size=4k'],
    'counts of 32 bits, compressed': ['-c', '-o', 'refcount_bits=32,cluster_size=4k'],
    'counts of 64 bits, compressed': ['-c', '-o', 'refcount_bits=64,cluster_size=4k'],
    'metadata in advance': ['-o', 'preallocation=metadata'],
    'metadata in advance, clusters of 512 bytes': ['-o', 'preallocation=metadata,cluster_size=512'],
    'everything in advance': ['-o', 'preallocation=full'],
    'lazy counts': ['-o', 'lazy_refcounts=on'],
    'extended entries': ['-o', 'extended_l2=on,cluster_size=64k'],
    'extended entries, small clusters': ['-o', 'extended_l2=on,cluster_size=16k'],
    'extended entries, compressed': ['-c', '-o', 'extended_l2=on,cluster_size=128k'],
    'extended entries in advance': ['-o', 'extended_l2=on,cluster_size=64k,preallocation=metadata'],
  }
  for (const [name, options] of Object.entries(variants))
    it(name, async () => assertGood(await converted(...options)))

  it('grown, written and discarded', async () => {
    const image = await converted('-o', 'cluster_size=32k')
    await qemuImg('resize', '-q', image, '20M')
    await qemuIo(image, 'write -P 3 15M 1M', 'write -z 1100000 200000', 'discard 0 131072')
    await qemuIo(image, 'write -z 3145728 512')
    await assertGood(image)
  })
  it('whose tables were moved behind the data when they became too small', async () => {
    const image = await created('64M', '-o', 'cluster_size=512')
    await qemuIo(image, 'write -P 5 0 20M', 'write -P 6 40M 1M')
    await assertGood(image)
    await qemuImg('resize', '-q', image, '400M')
    await qemuIo(image, 'write -P 7 300M 1M')
    await assertGood(image)
  })
  it('shrunk', async () => {
    const image = await converted()
    await qemuImg('resize', '-q', '--shrink', image, '2M')
    await assertGood(image)
  })
  it('with a snapshot that is gone', async () => {
    const image = await converted()
    await qemuImg('snapshot', '-c', 'before', image)
    await qemuIo(image, 'write -P 9 0 65536')
    await qemuImg('snapshot', '-d', 'before', image)
    await assertGood(image)
  })
  it('with a bitmap of changes', async () => {
    const image = await converted()
    await qemuImg('bitmap', '--add', image, 'changes')
    await assertGood(image)
  })
  it('with parts of clusters written, and zeros over them', async () => {
    const image = await created('20M', '-o', 'extended_l2=on')
    const zeros = ['write -z 1M 4096', 'write -z 10M 5000']
    await qemuIo(image, 'write -P 3 5000 1000', 'write -P 3 1M 2048', ...zeros)
    await qemuIo(image, 'write -P 4 20965376 6144')
    await assertGood(image)
  })
})

it('announces nothing of an empty disk, and a run of clusters as one extent', async () => {
  const empty = await parseBytes(qcow2Parser, await readFile(await created('16T')))
  assert.deepEqual([empty.disk, empty.extents, empty.safe], [{ virtualSize: 16 * TiB }, [], true])
  const { extents } = await parseBytes(qcow2Parser, await readFile(await converted('-S', '0')))
  assert.deepEqual(extents, [{ kind: 'data', guest: 0, host: 5 * 64 * KiB, length: DISK.length }])
})

it('leaves a disk above the limit alone', async () => {
  const image = memorySource(await readFile(await created('1T')))
  const limits = { ...DEFAULT_LIMITS, virtualSize: 100 * GiB }
  const { findings, disk } = await parseSource(qcow2Parser, image, { limits })
  assert.deepEqual([findings[0]?.code, findings[0]?.at, disk], ['SIZE_LIMIT', 24, undefined])
})

it('is done with a damaged qcow2 within bounds, whatever was damaged', async () => {
  for (const options of [
    ['-o', 'cluster_size=4k'],
    ['-c', '-o', 'cluster_size=4k,compression_type=zstd'],
    ['-o', 'extended_l2=on,cluster_size=16k'],
  ])
    await assertBounded(qcow2Parser, await readFile(await converted(...options)), [
      [0, 120],
      [4 * KiB, 96 * KiB],
    ])
})
