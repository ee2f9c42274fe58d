/**
 * The contract every store keeps, as one suite that every driver runs, always through the gate. The store is
 * opened once for all cases; what a case leaves it removes.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../base/units.ts'
import { readInto } from '../bytes/source.ts'
import type { Store } from '../stores/store.ts'
import { describeModel } from './_store-model.ts'
import { describeObjects, describeWriting } from './_store-writing.ts'
import { failsWith } from './fails-with.ts'

/** A store to try, and what its opener knows of it. The suite closes it. */
export interface StoreUnderTest {
  /** Through the gate: `openStore(entry, driver, context)`. Empty, and nobody else's. */
  readonly store: Store
  /** Puts an object into a place that only gives; its key. */
  readonly give?: (bytes: Uint8Array) => Promise<string>
  /** Makes the place unreachable. Called last; nothing but closing works after it. */
  readonly cut?: () => PromiseLike<void> | void
}

export interface StoreContractOptions {
  /** The place only gives; `give` puts objects there. */
  readonly readOnly?: boolean
  /** Bytes of the large object: more than one part of a place that keeps objects in parts. Default 5 MiB and some. */
  readonly largeSize?: number
  /** Objects that are made at random and compared with a buffer. Default 25. */
  readonly randomObjects?: number
}

/** What the cases share: filled when the store is open. */
export interface Subject extends StoreUnderTest {
  readonly largeSize: number
  readonly randomObjects: number
  /** Makes an object of these bytes, by the store or beside it; its key. */
  put(bytes: Uint8Array): Promise<string>
  /** All of an object. */
  get(key: string): Promise<Buffer>
  /** Removes it, where that can be done. */
  drop(key: string): Promise<void>
}

/** Declares the suite for one kind of store. `open` is called once. */
export function storeContract(
  name: string,
  open: () => Promise<StoreUnderTest>,
  { readOnly = false, largeSize = 5 * MiB + 12_345, randomObjects = 25 }: StoreContractOptions = {},
): void {
  describe(`${name} keeps the store contract`, { timeout: 300_000 }, () => {
    const subject = {} as Subject
    before(async () => {
      Object.assign(subject, sharedBy(await open()), { largeSize, randomObjects })
    })
    after(async () => {
      await subject.store?.[Symbol.asyncDispose]()
    })

    describeReading(subject)
    if (readOnly) describeRefusals(subject)
    else {
      describeObjects(subject)
      describeWriting(subject)
      describeModel(subject)
    }
    describeEnd(subject)
  })
}

/** Bytes that no two places of have alike by accident. */
export function patternOf(size: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  let state = seed * 2_654_435_761
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[at] = state >>> 24
  }
  return bytes
}

function sharedBy(tried: StoreUnderTest): Pick<Subject, 'store' | 'put' | 'get' | 'drop'> {
  const { store } = tried
  return {
    ...tried,
    put: async (bytes) => {
      if (store.readOnly) return await tried.give!(bytes)
      const key = randomUUID()
      await using writer = await store.create(key, bytes.length)
      await writer.write(0, bytes)
      await writer.finish(bytes.length)
      return key
    },
    get: async (key) => {
      await using source = await store.open(key)
      return Buffer.from(await source.read(0, source.size))
    },
    drop: async (key) => {
      if (!store.readOnly) await store.remove(key)
    },
  }
}

function describeReading(subject: Subject): void {
  it('says what it is', () => {
    assert.notEqual(subject.store.id, '')
    assert.equal(typeof subject.store.anyOrder, 'boolean')
    for (const value of Object.values(subject.store.properties)) assert.notEqual(value, undefined)
  })

  it('gives any range of an object, and nothing outside of it', async () => {
    const { store } = subject
    const bytes = patternOf(70_001)
    const key = await subject.put(bytes)
    await using source = await store.open(key)
    assert.equal(source.size, bytes.length)
    const edges = [0, 1, 511, 512, 4096, 65_535, 65_536, 70_000, 70_001]
    for (const from of edges)
      for (const to of edges.filter((edge) => edge >= from)) {
        const found = await source.read(from, to - from)
        assert.ok(bytes.subarray(from, to).equals(found), `${from} to ${to}`)
      }
    for (const [offset, length] of [
      [70_001, 1],
      [-1, 2],
      [70_000, 2],
      [0, -1],
      [1.5, 1],
    ] as const)
      await assert.rejects(source.read(offset, length), failsWith('IMAGE_TRUNCATED'))
    const target = Buffer.alloc(1000)
    await readInto(source, target, 69_001)
    assert.ok(target.equals(bytes.subarray(69_001)))
    await subject.drop(key)
  })

  it('gives one object to several readers at once, each at its own pace', async () => {
    const bytes = patternOf(3 * MiB + 7, 2)
    const key = await subject.put(bytes)
    const readAll = async (step: number) => {
      await using source = await subject.store.open(key)
      for (let at = 0; at < bytes.length; at += step) {
        const length = Math.min(step, bytes.length - at)
        assert.ok(bytes.subarray(at, at + length).equals(await source.read(at, length)))
      }
    }
    await Promise.all([64_000, 1 * MiB, 333_333, bytes.length].map(readAll))
    await subject.drop(key)
  })

  it('gives reads of one opened object that overlap in time', async () => {
    const bytes = patternOf(500_000, 3)
    const key = await subject.put(bytes)
    await using source = await subject.store.open(key)
    await Promise.all(
      [499_000, 0, 250_000, 1, 123_456].map(async (at) => {
        assert.ok(bytes.subarray(at, at + 1000).equals(await source.read(at, 1000)))
      }),
    )
    await subject.drop(key)
  })

  it('gives an object of no bytes', async () => {
    const key = await subject.put(Buffer.alloc(0))
    await using source = await subject.store.open(key)
    assert.equal(source.size, 0)
    assert.equal((await source.read(0, 0)).length, 0)
    await subject.drop(key)
  })

  it('says that there is no such object, and where', async () => {
    const { store } = subject
    const key = await subject.put(Buffer.from('x'))
    await assert.rejects(
      store.open(`${key}-not`),
      (error) => failsWith('OBJECT_NOT_FOUND')(error) && String(error).includes(store.id),
    )
    await subject.drop(key)
  })

  it('knows its own addresses, and no others', async () => {
    const { store } = subject
    const key = await subject.put(Buffer.from('here'))
    assert.equal(store.keyOf(store.locate(key)), key)
    for (const url of ['', 'nowhere', `gopher://example.org/${key}`, 'file:///etc/passwd'])
      assert.equal(store.keyOf(url), undefined, url)
    await subject.drop(key)
  })

  it('counts what it gives', async () => {
    const { counters } = subject.store
    const before = { ...counters }
    const key = await subject.put(patternOf(1000))
    assert.equal((await subject.get(key)).length, 1000)
    assert.equal(counters.opened - before.opened, 1)
    assert.equal(counters.bytesRead - before.bytesRead, 1000)
    await subject.drop(key)
  })
}

function describeRefusals(subject: Subject): void {
  it('takes nothing, and says so', async () => {
    const { store } = subject
    const key = await subject.put(Buffer.from('stays'))
    assert.equal(store.readOnly, true)
    await assert.rejects(store.create(randomUUID()), failsWith('STORE_READ_ONLY'))
    await assert.rejects(store.remove(key), failsWith('STORE_READ_ONLY'))
    assert.equal((await subject.get(key)).toString(), 'stays')
  })
}

function describeEnd(subject: Subject): void {
  it('says that the place cannot be reached, and which', async (t) => {
    const { store, cut } = subject
    if (!cut) return t.skip('its opener has no way to cut it off')
    const key = await subject.put(patternOf(1000))
    await cut()
    const isAway = (error: unknown) =>
      failsWith('STORE_AWAY')(error) && (error as Error).message.includes(store.id)
    await assert.rejects(subject.get(key), isAway)
    if (store.readOnly) return
    await assert.rejects(async () => {
      await using writer = await store.create(randomUUID())
      await writer.write(0, patternOf(1000))
      await writer.finish(1000)
    }, isAway)
  })
}
