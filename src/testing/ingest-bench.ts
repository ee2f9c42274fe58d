/** What tests of taking in data share: a store of each kind, a disk, and what must stand there afterwards. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { after } from 'node:test'
import { makeContext } from '../base/context.ts'
import type { FailureCode } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { readInto } from '../bytes/source.ts'
import { ingest, type Ingested, type IngestPlan } from '../images/ingest.ts'
import { fileDriver } from '../stores/drivers/file.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { openStore } from '../stores/open-store.ts'
import type { Store } from '../stores/store.ts'
import { noise } from './contract-tree.ts'
import { failsWith } from './fails-with.ts'
import { tempDir } from './temp-dir.ts'

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

/** A boot sector, noise, text, and zeros between them. */
function makeDisk(): Buffer {
  const disk = Buffer.alloc(5 * MiB)
  noise(300 * KiB).copy(disk, 64 * KiB)
  disk.fill('all work and no play ', 2 * MiB, 2 * MiB + 400 * KiB)
  noise(777).copy(disk, 3 * MiB + 12_345)
  disk.fill('the end', disk.length - 600)
  return disk
}

export async function* inChunks(bytes: Uint8Array, ...sizes: number[]): AsyncGenerator<Buffer> {
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 64 * KiB
    yield Buffer.from(bytes.subarray(from, from + size))
    from += size
  }
}

/** All of it, gone when the tests of the file are done. Called at the top of the file. */
export async function openIngestBench() {
  const at = await tempDir()
  const digests = new DigestThreads()
  after(() => digests[Symbol.asyncDispose]())
  const context = { ...makeContext(), dataDir: at('data') }
  await mkdir(at('spool'))
  const file = await openStore({ id: 'file', type: 'file' }, fileDriver, context)
  const memory = await openStore({ id: 'memory', type: 'memory' }, memoryDriver, context)
  const sequential = await openStore({ id: 'far', type: 'memory' }, sequentialDriver, context)
  const stores = [file, memory, sequential]
  const disk = makeDisk()
  await writeFile(at('disk'), disk)

  const converted = async (format: string, ...options: string[]): Promise<Buffer> => {
    const path = at('converted')
    await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, at('disk'), path])
    return await readFile(path)
  }
  let keys = 0
  const planOf = (plan: Partial<IngestPlan> = {}): IngestPlan => ({
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
  })
  /** Takes `bytes` in, and checks what stands in the store against what is said of it. */
  const taken = async (
    bytes: Buffer,
    plan: Partial<IngestPlan> = {},
  ): Promise<Ingested & { stored: Buffer }> => {
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
  const isLeftNothing = async () => {
    for (const store of stores)
      for await (const { key } of store.list!()) assert.fail(`${key} is left in ${store.id}`)
    assert.deepEqual(await readdir(at('spool')), [])
  }
  /** Refused with this code, and nothing is left. */
  const isRefused = async (
    code: FailureCode,
    stream: AsyncIterable<Uint8Array>,
    plan: Partial<IngestPlan> = {},
  ): Promise<void> => {
    await assert.rejects(ingest(stream, planOf(plan), context), failsWith(code))
    await isLeftNothing()
  }
  return {
    at,
    context,
    file,
    sequential,
    stores,
    disk,
    qcow2: await converted('qcow2'),
    converted,
    planOf,
    taken,
    isLeftNothing,
    isRefused,
  }
}

async function storedIn(store: Store, key: string): Promise<Buffer> {
  await using source = await store.open(key)
  const bytes = Buffer.alloc(source.size)
  await readInto(source, bytes, 0)
  return bytes
}
