import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Context, makeContext } from '../base/context.ts'
import { openTestService } from '../testing/test-service.ts'
import { sweepObjects } from './sweep-objects.ts'

const HOUR_MS = 3_600_000
const SIGNAL = new AbortController().signal
const IMAGE = '11111111-2222-3333-4444-555555555555'

/** A service whose clock can be moved, and what its stores hold. */
async function openBench() {
  let ahead = 0
  const context: Context = makeContext({ now: () => new Date(Date.now() + ahead) })
  const service = await openTestService({ context })
  const { stores, database, ledger, catalog } = service
  const write = async (key: string, store = stores.default) => {
    await using writer = await store.create(key)
    await writer.write(0, Buffer.from(key))
    await writer.finish(key.length)
  }
  const keys = async (store = stores.default) => {
    const found = []
    for await (const { key } of store.list?.() ?? []) found.push(key)
    return found.toSorted()
  }
  return {
    service,
    write,
    keys,
    age: (ms: number) => {
      ahead += ms
    },
    sweep: () =>
      sweepObjects(
        { database, catalog, ledger, stores, context },
        { olderThanMs: HOUR_MS, signal: SIGNAL },
      ),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

async function* streamOf(text: string) {
  yield Buffer.from(text)
}

test('removes objects that nobody names, once they are old', async () => {
  await using bench = await openBench()
  await bench.write(`${IMAGE}.0000000a`)
  assert.equal(await bench.sweep(), 0)
  bench.age(HOUR_MS + 1000)
  assert.equal(await bench.sweep(), 1)
  assert.deepEqual(await bench.keys(), [])
})

test('leaves what is not called as our objects are', async () => {
  await using bench = await openBench()
  const others = ['README', IMAGE, `${IMAGE}.0000000a.bak`, `x${IMAGE}.0000000a`]
  for (const key of others) await bench.write(key)
  bench.age(2 * HOUR_MS)
  assert.equal(await bench.sweep(), 0)
  assert.deepEqual(await bench.keys(), others.toSorted())
})

test('leaves what a record names, as its data or staged', async () => {
  await using bench = await openBench()
  const { images, uploads, catalog } = bench.service
  for (const how of ['upload', 'stage'] as const) {
    const id = bench.service.context.newId()
    await images.create({
      id,
      name: how,
      visibility: 'shared',
      protected: false,
      hidden: false,
      owner: 'project',
      containerFormat: 'bare',
      diskFormat: 'raw',
      minRamMiB: 0,
      minDiskGiB: 0,
      tags: [],
      properties: {},
    })
    const request = { imageId: id, size: undefined, userId: null, requestId: 'req-1' }
    await uploads[how]({ ...request, stream: streamOf(how.repeat(1024)), signal: SIGNAL })
    assert.equal((await catalog.get(id))?.status, how === 'upload' ? 'active' : 'uploading')
  }
  bench.age(2 * HOUR_MS)
  assert.equal(await bench.sweep(), 0)
  assert.equal((await bench.keys()).length, 2)
})

test('leaves what a task names that has not ended: what it makes, and what it was given', async () => {
  await using bench = await openBench()
  const { database, ledger } = bench.service
  const made = { store: 'main', key: `${IMAGE}.0000000a` }
  const given = { store: 'main', key: `${IMAGE}.0000000b` }
  for (const { key } of [made, given]) await bench.write(key)
  const task = { type: 'from the future', owner: null, hidden: true }
  const begin = await database.write((tx) =>
    ledger.begin(tx, { ...task, id: 'made', input: {}, leftovers: [made] }),
  )
  const lease = begin()
  await database.write((tx) =>
    ledger.add(tx, { ...task, id: 'given', input: { objects: [given] } }),
  )
  bench.age(2 * HOUR_MS)
  assert.equal(await bench.sweep(), 0)
  await lease.finish({ status: 'failure', message: '' })
  assert.equal(await bench.sweep(), 1)
  assert.deepEqual(await bench.keys(), [given.key])
})
