import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { crc32, deflateSync, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { makeContext, type ProgressEvent } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { MiB, SECTOR } from '../base/units.ts'
import { openFileSource, type Source, windowOf } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { mixedDisk } from '../testing/mixed-disk.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { writeContent } from '../testing/view-bytes.ts'
import { type ClusterStore, openClusterStore } from './cluster-store.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import { type ClusterStoreOptions, makeClusterStore } from './make-cluster-store.ts'
import { makeView } from './views.ts'

const at = await tempDir()

/** Runs and holes, several batches long, and a short unit at the end. */
function sampleMap(): DiskMap {
  const builder = new DiskMapBuilder()
  builder.add(0, 100)
  builder.add(107, 150)
  for (let unit = 151; unit < 320; unit += 2) builder.add(unit)
  return builder.toMap(20 * MiB - SECTOR)
}

const map = sampleMap()
const disk = mixedDisk(map)
const make = async (path: string, options: Partial<ClusterStoreOptions> = {}) => {
  const all = { disk, map, codec: 'deflate', path: at(path), ...options } as const
  await using store = await makeClusterStore(all, makeContext())
  return { index: store.index, bytes: await readFile(all.path) }
}

/** The plain cluster, padded. */
async function clusterOf(cluster: number): Promise<Buffer> {
  const offset = map.select(cluster) * UNIT
  const bytes = Buffer.alloc(UNIT)
  bytes.set(await disk.read(offset, Math.min(UNIT, map.size - offset)))
  return bytes
}

describe('a cluster store', () => {
  for (const codec of ['deflate', 'deflate-wide', 'zstd'] as const)
    it(`holds every data unit once, with its check sums: ${codec}`, async () => {
      const { index, bytes } = await make(codec, { codec })
      assert.equal(index.count, map.dataUnits)
      let stored = 0
      let end = 0
      for (let cluster = 0; cluster < index.count; cluster++) {
        assert.equal(index.offset(cluster), end)
        assert.equal(index.storedBefore(cluster), stored)
        const payload = bytes.subarray(end, (end += index.length(cluster)))
        const wanted = await clusterOf(cluster)
        const inflate =
          codec === 'zstd'
            ? zstdDecompressSync
            : (bytes: Buffer) =>
                inflateRawSync(bytes, { windowBits: codec === 'deflate' ? 12 : 15 })
        const found = index.isStored(cluster) ? payload : inflate(payload)
        assert.equal(Buffer.compare(found, wanted), 0, `cluster ${cluster}`)
        if (index.isStored(cluster)) assert.equal(index.selectStored(stored++), cluster)
        assert.equal(index.crc32(cluster), crc32(wanted))
        const adler = codec === 'zstd' ? 0 : deflateSync(wanted).subarray(-4).readUInt32BE()
        assert.equal(index.adler32(cluster), adler)
      }
      assert.equal(end, index.payloadSize)
      assert.ok(stored > 10 && stored < index.count / 2, `${stored} do not shrink`)
    })

  it('has the same bytes each time, by any number of threads, from a file or fed', async () => {
    const raw = await writeContent(at('raw'), makeView('raw', { map, identity: '' }), { disk })
    await using file = await openFileSource(raw)
    const inside = windowOf(file, 0, map.size, 'window')
    const { bytes } = await make('one', { threads: 1 })
    for (const options of [{}, { threads: 3 }, { disk: file }, { disk: inside, threads: 1 }])
      assert.equal(Buffer.compare((await make('other', options)).bytes, bytes), 0)
  })

  it('is another one at another level, and says so', async () => {
    const [quick, small] = [await make('quick', { level: 1 }), await make('small', { level: 9 })]
    assert.deepEqual([quick.index.level, small.index.level], [1, 9])
    assert.ok(small.index.payloadSize < quick.index.payloadSize)
    assert.notEqual(small.index.digest, quick.index.digest)
    for (const level of [0, 10, 1.5])
      await assert.rejects(make('none', { level }), failsWith('USAGE'))
  })

  it('of a disk without data is an index alone', async () => {
    const empty = new DiskMapBuilder().toMap(5 * MiB)
    const { index } = await make('empty', { map: empty, disk: mixedDisk(empty) })
    assert.deepEqual([index.count, index.payloadSize], [0, 0])
  })

  it('tells how far it is, and ends at the whole', async () => {
    const events: ProgressEvent[] = []
    const context = makeContext({ progress: (event) => events.push(event) })
    await using _ = await makeClusterStore({ disk, map, codec: 'zstd', path: at('told') }, context)
    const total = map.dataUnits * UNIT
    assert.deepEqual(events.at(-1), { kind: 'bytes', name: 'compress', done: total, total })
    const done = events.map((event) => (event.kind === 'bytes' ? event.done : 0))
    assert.ok(done.length > 2)
    assert.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    )
  })
})

async function fails(
  name: string,
  options: Partial<ClusterStoreOptions>,
  signal: AbortSignal,
  code: Failure['code'],
): Promise<void> {
  await mkdir(at(name))
  const all = { disk, map, codec: 'deflate', path: at(`${name}/store`), ...options } as const
  await assert.rejects(makeClusterStore(all, makeContext({ signal })), failsWith(code))
  assert.deepEqual(await readdir(at(name)), [])
}

const lost: Source['read'] = async () => {
  throw new Failure('REMOTE_LOST', 'gone')
}

describe('what goes wrong leaves nothing behind', () => {
  const never = new AbortController().signal

  it('when it is interrupted, before or on the way', async () => {
    await fails('before', {}, AbortSignal.abort(), 'INTERRUPTED')
    const stop = new AbortController()
    const read: Source['read'] = async (offset, length) => {
      if (offset > 5 * MiB) stop.abort()
      return await disk.read(offset, length)
    }
    await fails('on-the-way', { disk: { ...disk, read } }, stop.signal, 'INTERRUPTED')
  })

  it('when the disk cannot be read', async () => {
    const read: Source['read'] = async (offset, length) => {
      if (offset > 5 * MiB) throw new Failure('REMOTE_LOST', 'gone')
      return await disk.read(offset, length)
    }
    await fails('lost', { disk: { ...disk, read } }, never, 'REMOTE_LOST')
  })

  it('when the file of the disk has become shorter', async () => {
    await writeFile(at('short'), Buffer.alloc(MiB, 7))
    await using file = await openFileSource(at('short'))
    await fails('shorter', { disk: { ...file, size: map.size } }, never, 'IMAGE_TRUNCATED')
  })

  it('when there is no such directory', async () => {
    await assert.rejects(make('nowhere/store'), failsWith('FILE_NOT_FOUND'))
  })

  it('and what was there before stays', async () => {
    const { bytes } = await make('kept')
    await assert.rejects(make('kept', { disk: { ...disk, read: lost } }), failsWith('REMOTE_LOST'))
    assert.equal(Buffer.compare(await readFile(at('kept')), bytes), 0)
  })
})

async function opened(bytes: Uint8Array): Promise<number> {
  await writeFile(at('damaged'), bytes)
  await using store: ClusterStore = await openClusterStore(at('damaged'))
  return store.index.count
}

describe('a store is refused', () => {
  it('when it is cut short, or is something else', async () => {
    const { bytes } = await make('whole')
    for (const length of [0, 10, 47, 48, 4096, bytes.length - 1])
      await assert.rejects(opened(bytes.subarray(0, length)), (error) => isFailure(error))
    await assert.rejects(opened(Buffer.alloc(MiB)), failsWith('IMAGE_UNSAFE'))
  })

  it('when any bit of its index has changed', async () => {
    const { bytes, index } = await make('bits')
    const from = index.payloadSize
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: from, max: bytes.length - 1 }),
        fc.nat(7),
        async (n, bit) => {
          const damaged = Buffer.from(bytes)
          damaged[n] = damaged[n]! ^ (1 << bit)
          await assert.rejects(opened(damaged), (error) => isFailure(error))
        },
      ),
      { numRuns: 60 },
    )
  })
})
