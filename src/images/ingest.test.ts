import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { readInto } from '../bytes/source.ts'
import { fileDriver } from '../stores/drivers/file.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { openStore } from '../stores/open-store.ts'
import type { Store } from '../stores/store.ts'
import { noise } from '../testing/contract-tree.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { ingest, type Ingested, type IngestPlan } from './ingest.ts'

const at = await tempDir()
const digests = new DigestThreads()
after(() => digests[Symbol.asyncDispose]())
const context = { ...makeContext(), dataDir: at('data') }
await mkdir(at('spool'))

/** A store that is written first byte to last, as those behind HTTP are. */
const sequentialDriver: typeof memoryDriver = {
  ...memoryDriver,
  open: async (options, context) => {
    const place = await memoryDriver.open(options, context)
    return Object.assign(Object.create(place) as typeof place, {
      anyOrder: false,
      create: async (key: string) => {
        const { zeros: _, ...writer } = await place.create(key, undefined)
        return writer
      },
      open: (key: string) => place.open(key),
      remove: (key: string) => place.remove(key),
      list: () => place.list!(),
      [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
    })
  },
}
const file = await openStore({ id: 'file', type: 'file' }, fileDriver, context)
const memory = await openStore({ id: 'memory', type: 'memory' }, memoryDriver, context)
const sequential = await openStore({ id: 'far', type: 'memory' }, sequentialDriver, context)
const STORES = [file, memory, sequential]

/** A boot sector, noise, text, and zeros between them. */
const disk = Buffer.alloc(5 * MiB)
noise(300 * KiB).copy(disk, 64 * KiB)
disk.fill('all work and no play ', 2 * MiB, 2 * MiB + 400 * KiB)
noise(777).copy(disk, 3 * MiB + 12_345)
disk.fill('the end', disk.length - 600)
await writeFile(at('disk'), disk)

async function converted(format: string, ...options: string[]): Promise<Buffer> {
  const path = at('converted')
  await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, at('disk'), path])
  return await readFile(path)
}
const qcow2 = await converted('qcow2')

async function* inChunks(bytes: Uint8Array, ...sizes: number[]): AsyncGenerator<Buffer> {
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 64 * KiB
    yield Buffer.from(bytes.subarray(from, from + size))
    from += size
  }
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

let keys = 0
function planOf(plan: Partial<IngestPlan> = {}): IngestPlan {
  return {
    name: 'image 1',
    store: memory,
    key: `object-${keys++}`,
    diskFormat: 'raw',
    containerFormat: 'bare',
    maxSize: 64 * MiB,
    requireMatch: true,
    hashAlgorithm: 'sha512',
    spoolDirectory: at('spool'),
    wantsMap: true,
    digests,
    ...plan,
  }
}

async function storedIn(store: Store, key: string): Promise<Buffer> {
  await using source = await store.open(key)
  const bytes = Buffer.alloc(source.size)
  await readInto(source, bytes, 0)
  return bytes
}

/** Takes `bytes` in, and checks what stands in the store against what is said of it. */
async function taken(
  bytes: Buffer,
  plan: Partial<IngestPlan> = {},
): Promise<Ingested & { stored: Buffer }> {
  const full = planOf(plan)
  const ingested = await ingest(inChunks(bytes, 64 * KiB), full, context)
  const stored = await storedIn(full.store, full.key)
  assert.equal(ingested.size, stored.length)
  assert.equal(ingested.sourceSize, bytes.length)
  assert.equal(ingested.checksum, createHash('md5').update(stored).digest('hex'))
  assert.equal(ingested.hashValue, createHash(full.hashAlgorithm).update(stored).digest('hex'))
  await full.store.remove(full.key)
  return { ...ingested, stored }
}

async function isLeftNothing(): Promise<void> {
  for (const store of STORES)
    for await (const { key } of store.list!()) assert.fail(`${key} is left in ${store.id}`)
  assert.deepEqual(await readdir(at('spool')), [])
}

/** Refused with this code, and nothing is left. */
async function isRefused(
  code: ConstructorParameters<typeof Failure>[0],
  stream: AsyncIterable<Uint8Array>,
  plan: Partial<IngestPlan> = {},
): Promise<void> {
  await assert.rejects(ingest(stream, planOf(plan), context), failsWith(code))
  await isLeftNothing()
}

describe('content that is stored as it came', () => {
  it('is the same in every store, with its digests and its map', async () => {
    for (const store of STORES) {
      const { stored, map, virtualSize } = await taken(disk, { store, size: disk.length })
      assert.ok(stored.equals(disk))
      assert.equal(virtualSize, disk.length)
      assert.deepEqual(
        [...(map?.extents() ?? [])].map(({ offset }) => offset / (64 * KiB)),
        [1, 32, 48, 79],
      )
    }
  })

  it('gives the same record however it is cut', async () => {
    const whole = await taken(qcow2, { diskFormat: 'qcow2' })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 * MiB }), { minLength: 1 }),
        async (cuts) => {
          if (cuts.every((cut) => cut < KiB)) cuts.push(MiB)
          const plan = planOf({ diskFormat: 'qcow2' })
          const ingested = await ingest(inChunks(qcow2, ...cuts), plan, context)
          await plan.store.remove(plan.key)
          const { stored: _, ...expected } = whole
          assert.deepEqual(ingested, expected)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('may be nothing at all', async () => {
    const { size, virtualSize } = await taken(Buffer.alloc(0))
    assert.deepEqual([size, virtualSize], [0, 0])
  })

  it('tells the virtual size of every format it knows', async () => {
    for (const [diskFormat, bytes] of [
      ['qcow2', qcow2],
      ['vhdx', await converted('vhdx')],
      ['vhd', await converted('vpc', '-o', 'force_size=on')],
      ['vmdk', await converted('vmdk')],
      ['vdi', await converted('vdi')],
    ] as const) {
      const { virtualSize, stored, map } = await taken(bytes, { diskFormat })
      assert.deepEqual([diskFormat, virtualSize], [diskFormat, disk.length])
      assert.ok(stored.equals(bytes))
      assert.equal(map, undefined)
    }
  })

  it('may be anything when it is declared raw, or is in an envelope', async () => {
    const { virtualSize } = await taken(qcow2, { diskFormat: 'raw' })
    assert.equal(virtualSize, qcow2.length)
    for (const bytes of [gzipSync(disk), Buffer.from('PK\x03\x04 and more')]) await taken(bytes)
    const inside = await taken(qcow2, { diskFormat: 'vmdk', containerFormat: 'ova' })
    assert.equal(inside.virtualSize, null)
  })

  it('has to be of its format, unless that is not wanted', async () => {
    for (const diskFormat of ['vmdk', 'iso', 'ami', 'gpt'])
      await isRefused('FORMAT_MISMATCH', inChunks(qcow2), { diskFormat })
    await isRefused('FORMAT_MISMATCH', inChunks(disk), { diskFormat: 'qcow2' })
    await taken(disk, { diskFormat: 'ploop' })
    await taken(qcow2, { diskFormat: 'vmdk', requireMatch: false })
  })

  it('is refused when it reaches for other files, whatever it is declared', async () => {
    const path = at('overlay')
    await runTool(['qemu-img', 'create', '-f', 'qcow2', '-F', 'raw', '-b', at('disk'), path])
    const overlay = await readFile(path)
    for (const plan of [{ diskFormat: 'qcow2' }, {}, { diskFormat: 'qcow2', requireMatch: false }])
      await isRefused('IMAGE_UNSAFE', inChunks(overlay), plan)
  })
})

describe('content that is made into another format', () => {
  it('comes out as the same disk, into every store', async () => {
    for (const store of STORES)
      for (const [diskFormat, bytes] of [
        ['qcow2', qcow2],
        ['qcow2', await converted('qcow2', '-c', '-W', '-m', '4')],
        ['vhdx', await converted('vhdx')],
        ['vhd', await converted('vpc', '-o', 'force_size=on')],
        ['vhd', await converted('vpc', '-o', 'force_size=on,subformat=fixed')],
        ['vmdk', await converted('vmdk', '-o', 'subformat=streamOptimized')],
        ['vdi', await converted('vdi')],
      ] as const) {
        const about = await taken(bytes, { store, diskFormat, convertTo: 'raw' })
        assert.ok(about.stored.equals(disk), `${diskFormat} in ${store.id}`)
        assert.equal(about.diskFormat, 'raw')
        assert.equal(about.virtualSize, disk.length)
        assert.deepEqual(
          [...(about.map?.extents() ?? [])].map(({ offset }) => offset / (64 * KiB)),
          [1, 32, 48, 79],
        )
      }
    await isLeftNothing()
  })

  it('can be another one than raw, and is left alone when it is that', async () => {
    const about = await taken(disk, { convertTo: 'qcow2', store: file })
    assert.equal(about.diskFormat, 'qcow2')
    await writeFile(at('made.qcow2'), about.stored)
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', at('disk'), at('made.qcow2')])
    const same = await taken(qcow2, { diskFormat: 'qcow2', convertTo: 'qcow2' })
    assert.ok(same.stored.equals(qcow2))
    await isLeftNothing()
  })

  it('is of no use when it is of another format, unsafe, or cut short', async () => {
    const plan = { diskFormat: 'vmdk', convertTo: 'raw' }
    for (const store of STORES) {
      await isRefused('FORMAT_MISMATCH', inChunks(qcow2), { ...plan, store })
      await isRefused('IMAGE_TRUNCATED', inChunks(qcow2.subarray(0, -100 * KiB)), {
        store,
        diskFormat: 'qcow2',
        convertTo: 'raw',
      })
    }
  })

  it('is held to limits by what comes out', async () => {
    const plan = { diskFormat: 'qcow2', convertTo: 'raw' }
    await isRefused('LIMIT_EXCEEDED', inChunks(qcow2), { ...plan, maxSize: 4 * MiB })
    await isRefused('QUOTA_EXCEEDED', inChunks(qcow2), {
      ...plan,
      quota: 4 * MiB,
      store: sequential,
    })
  })
})

describe('content that is compressed', () => {
  const zip = async () => {
    await runTool(['python3', '-c', ZIP, at('made.zip'), at('disk')])
    return await readFile(at('made.zip'))
  }
  const ZIP = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:
  for path in sys.argv[2:]: archive.write(path)`

  it('is unpacked, and stored as it is or converted', async () => {
    for (const pack of [gzipSync, zstdCompressSync]) {
      const about = await taken(pack(qcow2), { diskFormat: 'qcow2', decompress: true })
      assert.ok(about.stored.equals(qcow2))
      const plan = { diskFormat: 'qcow2', containerFormat: 'compressed', decompress: true }
      const raw = await taken(pack(qcow2), { ...plan, convertTo: 'raw' })
      assert.ok(raw.stored.equals(disk))
      assert.equal(raw.containerFormat, 'bare')
    }
    const zipped = await taken(await zip(), { decompress: true, store: file })
    assert.ok(zipped.stored.equals(disk))
  })

  it('stays as it is when unpacking is not wanted, or it is a ramdisk', async () => {
    const packed = gzipSync(disk)
    assert.ok((await taken(packed)).stored.equals(packed))
    const plan = { diskFormat: 'ari', containerFormat: 'ari', decompress: true }
    assert.ok((await taken(packed, plan)).stored.equals(packed))
  })

  it('is refused when it is damaged, cut short, or a bomb', async () => {
    const packed = gzipSync(disk)
    const damaged = Buffer.from(packed)
    damaged.fill(0x55, 1000, 1100)
    const plan = { decompress: true }
    await isRefused('IMAGE_UNSAFE', inChunks(damaged), plan)
    await isRefused('IMAGE_TRUNCATED', inChunks(packed.subarray(0, -5)), plan)
    await isRefused('LIMIT_EXCEEDED', inChunks(packed), { ...plan, maxSize: 4 * MiB })
    await isRefused('FORMAT_MISMATCH', inChunks(disk), { ...plan, containerFormat: 'compressed' })
  })

  it('in a zip has to be one whole file', async () => {
    const archive = await zip()
    const plan = { decompress: true }
    for (const length of [10, 100, archive.length / 2, archive.length - 30])
      await isRefused('IMAGE_TRUNCATED', inChunks(archive.subarray(0, length)), plan)
    const damaged = Buffer.from(archive)
    damaged.fill(0x55, 5000, 5010)
    await isRefused('IMAGE_UNSAFE', inChunks(damaged), plan)
    await writeFile(at('second'), 'a second file')
    await runTool(['python3', '-c', ZIP, at('two.zip'), at('disk'), at('second')])
    await isRefused('IMAGE_UNSAFE', inChunks(await readFile(at('two.zip'))), plan)
  })
})

describe('of data that is not taken nothing is left', () => {
  it('when it is not what was announced', async () => {
    for (const size of [disk.length - 1, disk.length + 1])
      for (const plan of [{ size }, { size, decompress: true }, { size, store: file }])
        await isRefused('REQUEST_INVALID', inChunks(disk), plan)
  })

  it('when it is more than may be stored, and before it is read if it was announced', async () => {
    for (const [code, plan] of [
      ['LIMIT_EXCEEDED', { maxSize: MiB }],
      ['QUOTA_EXCEEDED', { quota: MiB }],
    ] as const) {
      await isRefused(code, inChunks(disk), plan)
      const nobody = { [Symbol.asyncIterator]: () => assert.fail('it was read') }
      await isRefused(code, nobody, { ...plan, size: disk.length })
    }
  })

  it('when it has another digest than was expected', async () => {
    const packed = gzipSync(qcow2)
    for (const plan of [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]) {
      const bytes = 'decompress' in plan ? packed : qcow2
      const algorithm = 'sha256'
      await taken(bytes, { ...plan, expected: { algorithm, value: sha256(bytes) } })
      const expected = { algorithm, value: sha256(disk) }
      await isRefused('DIGEST_MISMATCH', inChunks(bytes), { ...plan, expected })
    }
  })

  it('when the stream breaks, wherever', async () => {
    const plans = [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]
    for (const store of STORES)
      for (const plan of plans)
        for (const length of [0, 1, 70_000, qcow2.length - 1]) {
          const broken = async function* () {
            yield* inChunks(qcow2.subarray(0, length))
            throw new Failure('REMOTE_LOST', 'gone')
          }
          await isRefused('REMOTE_LOST', broken(), { store, ...plan })
        }
  })

  it('when it is interrupted while nothing comes', async () => {
    for (const plan of [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]) {
      const controller = new AbortController()
      const reached = Promise.withResolvers<void>()
      const hanging = async function* () {
        yield qcow2.subarray(0, 100_000)
        reached.resolve()
        await new Promise(() => {})
      }
      const taking = ingest(hanging(), planOf(plan), { ...context, signal: controller.signal })
      await reached.promise
      controller.abort()
      await assert.rejects(taking, failsWith('INTERRUPTED'))
      await isLeftNothing()
    }
  })

  it('when the store is full', async () => {
    const entry = { id: 'small', type: 'memory', options: { max_size: 2 * MiB } }
    await using small = await openStore(entry, memoryDriver, context)
    for (const plan of [{}, { size: disk.length }, { decompress: true }])
      await isRefused('STORE_FULL', inChunks(disk), { store: small, ...plan })
    await isRefused('STORE_FULL', inChunks(qcow2), {
      store: small,
      diskFormat: 'qcow2',
      convertTo: 'raw',
    })
    for await (const { key } of small.list!()) assert.fail(`${key} is left`)
  })
})
