import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import { assertBounded, parseBytes, refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { withVmdkFooter } from '../../testing/vmdk-footer.ts'
import { openDisk } from '../open-disk.ts'
import { StreamParse } from '../_parse-stream.ts'
import { DEFAULT_LIMITS } from '../parser.ts'
import { vmdkParser } from './vmdk.ts'

/** Two grain tables, with a hole of zeros between. */
const DISK = sampleDisk(40 * MiB)
const { contentOf, converted, created, path } = await qemuImages('vmdk', DISK)
const STREAM = ['-o', 'subformat=streamOptimized']
const plain = readFile(await converted())
const packed = readFile(await converted(...STREAM))

/** What qemu-img reads of an image, and what we do. */
async function readBoth(image: Buffer): Promise<[Uint8Array, Uint8Array]> {
  await writeFile(path('footed.vmdk'), image)
  await using disk = await openDisk(memorySource(image), vmdkParser)
  assert.deepEqual(disk.findings, [])
  return [await contentOf(path('footed.vmdk')), await disk.read(0, disk.size)]
}

async function readStream(image: Buffer): Promise<{ disk: Buffer; safe: boolean }> {
  const disk = Buffer.alloc(DISK.length)
  await using parse = new StreamParse(vmdkParser, {
    limits: DEFAULT_LIMITS,
    spool: { directory: path(''), limit: MiB, newId: () => 'spool' },
    sink: { write: (guest, bytes) => disk.set(bytes, guest) },
  })
  for (let at = 0; at < image.length; at += 100_000)
    await parse.push(Buffer.from(image.subarray(at, at + 100_000)))
  return { disk, safe: (await parse.end()).safe }
}

describe('a VMDK whose directory a footer tells reads as qemu-img reads it, as a file and as a stream:', () => {
  const variants: Record<string, () => Promise<Buffer>> = {
    'not compressed': async () => withVmdkFooter(await plain),
    'not compressed, without the redundant directory': async () =>
      withVmdkFooter(await plain, { redundant: false }),
    'with a marker that says no sectors': async () => withVmdkFooter(await plain, { sectors: 0 }),
    'compressed, with its tables in front': async () => withVmdkFooter(await packed),
    'compressed and written out of order': async () =>
      withVmdkFooter(await readFile(await converted('-W', '-m', '8', ...STREAM))),
  }
  for (const [name, make] of Object.entries(variants))
    it(name, async () => {
      const image = await make()
      for (const read of await readBoth(image)) assert.equal(Buffer.compare(read, DISK), 0)
      const stream = await readStream(image)
      assert.equal(stream.safe, true)
      assert.equal(Buffer.compare(stream.disk, DISK), 0)
    })

  it('empty', async () => {
    for (const options of [[], STREAM]) {
      const image = withVmdkFooter(await readFile(await created('10M', ...options)))
      const { safe, findings, extents } = await parseBytes(vmdkParser, image)
      assert.deepEqual([safe, findings, extents], [true, [], []])
    }
  })

  it('used by a machine', async () => {
    const used = await created('40M')
    const writes = ['write -P 7 38M 1M', 'write -P 8 0 64k', 'write 5k 1k']
    await runTool(['qemu-io', '-f', 'vmdk', ...writes.flatMap((each) => ['-c', each]), used])
    const [theirs, ours] = await readBoth(withVmdkFooter(await readFile(used)))
    assert.equal(Buffer.compare(ours, theirs), 0)
  })
})

describe('refuses a VMDK with a footer', () => {
  const good = plain.then((image) => withVmdkFooter(image))
  const { refused } = refusals(vmdkParser, good)
  const changedAtEnd = (at: number, hex: string) => async () => {
    const image = Buffer.from(await good)
    image.write(hex, image.length + at, 'hex')
    return image
  }
  refused('that is missing', 'HEADER_INVALID', undefined, async () =>
    (await good).subarray(0, -1536),
  )
  refused('that is no footer by its marker', 'HEADER_INVALID', undefined, changedAtEnd(-1524, '02'))
  refused('that is not the header once more', 'COPIES_DIFFER', undefined, changedAtEnd(-950, '01'))
  refused(
    'that leads to another footer',
    'HEADER_INVALID',
    undefined,
    changedAtEnd(-968, 'ff'.repeat(8)),
  )
  refused('that leads past the end', 'TRUNCATED', undefined, changedAtEnd(-964, '01'))
  refused('behind which something stands', 'COPIES_DIFFER', undefined, changedAtEnd(-1, '01'))
  refused('that leads to itself', 'OVERLAP', undefined, async () => {
    const image = Buffer.from(await good)
    image.writeBigUInt64LE(BigInt(image.length / 512 - 2), image.length - 968)
    return image
  })
  refused('that leads to other tables than the header', 'COPIES_DIFFER', undefined, async () => {
    const image = Buffer.from(await good)
    const directory = Number(image.readBigUInt64LE(image.length - 968)) * 512
    image.writeUInt32LE(0, directory)
    return image
  })
  refused('not on a sector', 'MISALIGNED', undefined, async () =>
    Buffer.concat([(await good).subarray(0, -1536), Buffer.alloc(8), (await good).subarray(-1536)]),
  )
  refused('behind grains of which no table tells', 'COPIES_DIFFER', undefined, async () => {
    const image = withVmdkFooter(await packed)
    for (const at of [48, image.length - 968]) {
      const directory = Number(image.readBigUInt64LE(at)) * 512
      image.writeUInt32LE(0, image.readUInt32LE(directory) * 512)
    }
    return image
  })
})

describe('is done with a damaged VMDK with a footer within bounds, whatever was damaged:', () => {
  for (const [name, made] of Object.entries({ plain, packed }))
    it(name, async () => {
      const image = withVmdkFooter(await made)
      const directory = Number(image.readBigUInt64LE(image.length - 968)) * 512
      await assertBounded(vmdkParser, image, [
        [4, 80],
        [image.length - 1536, image.length - 1520],
        [image.length - 1024, image.length - 900],
        [directory, directory + 8],
        [128 * 512, 128 * 512 + KiB],
      ])
    })
})
