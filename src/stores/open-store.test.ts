import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { memorySource } from '../bytes/source.ts'
import { Type } from '../schema/type.ts'
import { failsWith } from '../testing/fails-with.ts'
import { storeContract } from '../testing/store-contract.ts'
import { memoryDriver } from './drivers/memory.ts'
import { openStore } from './open-store.ts'
import { defineStoreDriver, type DriverStore, type StoreContext } from './store.ts'

const context: StoreContext = { ...makeContext(), dataDir: '/nowhere' }
const entry = { id: 'mine', type: 'plain' }

/** Fails as the system does. */
const failing = (message: string, code: string) => () =>
  Promise.reject(Object.assign(new Error(message), { code }))

/** A driver whose every function is one of these, or throws. */
function driverOf(parts: Partial<DriverStore>) {
  return defineStoreDriver({
    name: 'plain',
    summary: 'for this test',
    options: Type.Object({}, { additionalProperties: false }),
    open: async () => ({
      anyOrder: false,
      create: () => Promise.reject(new Error('not for this test')),
      open: () => Promise.reject(new Error('not for this test')),
      remove: () => Promise.reject(new Error('not for this test')),
      locate: (key) => `plain://here/${key}`,
      [Symbol.asyncDispose]: async () => {},
      ...parts,
    }),
  })
}

/** The least that a driver can be: no order but one, no zeros, no list, no room, no keys of addresses. */
const leastDriver: typeof memoryDriver = {
  name: 'least',
  summary: 'for this test',
  options: memoryDriver.options,
  open: async (options, context) => {
    const { create, open, remove, locate, ...rest } = bound(
      await memoryDriver.open(options, context),
    )
    return {
      anyOrder: false,
      create: async (key, size) => {
        const { write, finish, discard, ...writer } = await create(key, size)
        return { write, finish, discard, [Symbol.asyncDispose]: writer[Symbol.asyncDispose] }
      },
      open,
      remove,
      locate,
      [Symbol.asyncDispose]: rest[Symbol.asyncDispose],
    }
  },
}

function bound(store: DriverStore) {
  return {
    create: store.create.bind(store),
    open: store.open.bind(store),
    remove: store.remove.bind(store),
    locate: store.locate.bind(store),
    [Symbol.asyncDispose]: store[Symbol.asyncDispose].bind(store),
  }
}

storeContract('the least driver', async () => ({
  store: await openStore({ id: 'least', type: 'least' }, leastDriver, context),
}))

describe('the gate of stores', () => {
  it('checks the options of the driver, and says where they are wrong', async () => {
    const wrong = openStore({ ...entry, options: { colour: 'red' } }, driverOf({}), context)
    await assert.rejects(wrong, (error) => {
      assert.ok(isFailure(error, 'CONFIG_INVALID'))
      assert.match(error.message, /store mine: options\.colour: unknown key/)
      return true
    })
  })

  it('makes system errors the failures of the store', async () => {
    for (const [systemCode, code] of [
      ['ENOSPC', 'STORE_FULL'],
      ['EDQUOT', 'STORE_FULL'],
      ['EROFS', 'STORE_READ_ONLY'],
      ['EACCES', 'STORE_DENIED'],
      ['EIO', 'STORE_AWAY'],
      ['ETIMEDOUT', 'STORE_AWAY'],
      ['ECONNREFUSED', 'STORE_AWAY'],
      ['UND_ERR_SOCKET', 'STORE_AWAY'],
    ] as const) {
      const fail = failing('as it is', systemCode)
      await using store = await openStore(entry, driverOf({ create: fail, open: fail }), context)
      for (const attempt of [store.create('key'), store.open('key')])
        await assert.rejects(attempt, (error) => {
          assert.ok(isFailure(error, code), systemCode)
          assert.match(error.message, /^store mine: (creating|opening) key: as it is$/)
          assert.deepEqual(error.details, { store: 'mine', code: systemCode })
          return true
        })
      assert.equal(store.counters.failures, 2)
    }
  })

  it('does not tell where on its host a store stands', async () => {
    for (const [said, told] of [
      ["ENOENT: no such file or directory, mkdir '/srv/images/ab'", /, mkdir$/],
      ["EXDEV: cross-device link, rename '/srv/a b' -> '/srv/c'", /, rename$/],
    ] as const) {
      const fail = failing(said, 'EIO')
      await using store = await openStore(entry, driverOf({ open: fail }), context)
      await assert.rejects(store.open('key'), told)
    }
  })

  it('names the store in the failures of its driver, and leaves bugs alone', async () => {
    const refused = new Failure('STORE_DENIED', 'bad key', {
      details: { status: 403 },
      fix: 'Ask.',
    })
    const bug = new TypeError('oh')
    const driver = driverOf({
      open: () => Promise.reject(refused),
      remove: () => Promise.reject(bug),
    })
    await using store = await openStore(entry, driver, context)
    await assert.rejects(store.open('key'), (error) => {
      assert.ok(isFailure(error, 'STORE_DENIED'))
      assert.equal(error.message, 'store mine: opening key: bad key')
      assert.deepEqual(error.details, { status: 403, store: 'mine' })
      assert.equal(error.fix, 'Ask.')
      return true
    })
    await assert.rejects(store.remove('key'), bug)
  })

  it('says that it was interrupted, whatever the driver saw of it', async () => {
    const stop = new AbortController()
    const fail = failing('gone', 'ECONNRESET')
    const stopped = { ...context, signal: stop.signal }
    await using store = await openStore(entry, driverOf({ open: fail }), stopped)
    stop.abort()
    await assert.rejects(store.open('key'), failsWith('INTERRUPTED'))
  })

  it('writes nothing to a place that only gives, and takes longer keys there', async () => {
    const url = `https://example.org/${'a'.repeat(1000)}`
    const driver = driverOf({
      readOnly: true,
      open: async (key) => memorySource(Buffer.from(key)),
      locate: (key) => key,
      keyOf: (address) => address,
    })
    await using store = await openStore(entry, driver, context)
    assert.equal(store.readOnly, true)
    await assert.rejects(store.create('key'), failsWith('STORE_READ_ONLY'))
    await assert.rejects(store.remove('key'), failsWith('STORE_READ_ONLY'))
    assert.equal(store.keyOf(url), url)
    assert.equal((await store.open(url)).size, url.length)
    for (const key of ['', 'with space', 'line\n', 'a'.repeat(5000)])
      assert.equal(store.keyOf(key), undefined)
  })

  it('ends a writer only when its call under way is over, and once', async () => {
    const calls: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const driver = driverOf({
      create: async () => ({
        write: async () => {
          await promise
          calls.push('written')
        },
        finish: async () => {},
        discard: async () => void calls.push('discarded'),
        [Symbol.asyncDispose]: async () => {},
      }),
    })
    await using store = await openStore(entry, driver, context)
    const writer = await store.create('key')
    const writing = writer.write(0, Buffer.from('x'))
    await assert.rejects(writer.write(1, Buffer.from('y')), /one call at a time/)
    const discarding = Promise.all([writer.discard(), writer.discard()])
    resolve()
    await Promise.all([writing, discarding])
    assert.deepEqual(calls, ['written', 'discarded'])
  })

  it('hides no failure behind that of cleaning up, which it logs', async () => {
    const events: string[] = []
    const driver = driverOf({
      create: async () => ({
        write: async () => {},
        finish: failing('no answer', 'EIO'),
        discard: failing('no answer either', 'EIO'),
        [Symbol.asyncDispose]: async () => {},
      }),
    })
    const log = { ...context.log, warn: (event: string) => void events.push(event) }
    await using store = await openStore(entry, driver, { ...context, log })
    await assert.rejects(async () => {
      await using writer = await store.create('key')
      await writer.finish(0)
    }, /store mine: finishing key: no answer$/)
    assert.deepEqual(events, ['store.leftover'])
    assert.equal(store.counters.created, 0)
  })
})
