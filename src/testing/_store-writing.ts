/** Cases of the store contract: objects that are made and removed. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import { KiB, MiB } from '../base/units.ts'
import { failsWith } from './fails-with.ts'
import { patternOf, type Subject } from './store-contract.ts'

/** Keys that stand there; undefined where the place cannot tell. */
async function keysOf({ store }: Subject): Promise<string[] | undefined> {
  if (!store.list) return undefined
  const found = await Array.fromAsync(store.list())
  return found.map(({ key }) => key).toSorted()
}

export function describeObjects(subject: Subject): void {
  it('shows an object only when it is whole', async () => {
    const { store } = subject
    const key = randomUUID()
    await using writer = await store.create(key)
    await assert.rejects(store.open(key), failsWith('OBJECT_NOT_FOUND'))
    await writer.write(0, patternOf(200_000))
    await assert.rejects(store.open(key), failsWith('OBJECT_NOT_FOUND'))
    await writer.finish(200_000)
    assert.ok(patternOf(200_000).equals(await subject.get(key)))
    await store.remove(key)
  })

  it('keeps nothing of an object that is given up, by whatever way', async () => {
    const { store, largeSize } = subject
    const [discarded, left, untouched] = [randomUUID(), randomUUID(), randomUUID()]
    const writer = await store.create(discarded, largeSize)
    await writer.write(0, patternOf(largeSize))
    await writer.discard()
    await writer.discard()
    {
      await using writer = await store.create(left)
      await writer.write(0, patternOf(100))
    }
    await (await store.create(untouched))[Symbol.asyncDispose]()
    for (const key of [discarded, left, untouched])
      await assert.rejects(store.open(key), failsWith('OBJECT_NOT_FOUND'))
    assert.deepEqual(await keysOf(subject), store.list && [])
  })

  it('keeps what was finished when the writer is closed, and takes nothing more', async () => {
    const key = randomUUID()
    const writer = await subject.store.create(key)
    await writer.write(0, Buffer.from('for good'))
    await writer.finish(8)
    await writer.discard()
    await writer[Symbol.asyncDispose]()
    await assert.rejects(writer.write(8, Buffer.from('more')))
    await assert.rejects(writer.finish(12))
    assert.equal((await subject.get(key)).toString(), 'for good')
    await subject.store.remove(key)
  })

  it('removes objects, unfinished ones too, and does not mind when there is none', async () => {
    const { store } = subject
    const key = await subject.put(Buffer.from('soon gone'))
    await store.remove(key)
    await assert.rejects(store.open(key), failsWith('OBJECT_NOT_FOUND'))
    await store.remove(key)
    await store.remove('never-there')

    const unfinished = randomUUID()
    const writer = await store.create(unfinished)
    await writer.write(0, patternOf(3 * MiB))
    await store.remove(unfinished)
    await writer.discard()
    await assert.rejects(store.open(unfinished), failsWith('OBJECT_NOT_FOUND'))
    assert.deepEqual(await keysOf(subject), store.list && [])
  })

  it('takes exactly the keys that the contract names', async () => {
    const { store } = subject
    const long = 'k'.repeat(200)
    for (const key of ['a', '.hidden', '-dash', '_', 'a.part', 'A.b-C_9', 'index.html', long]) {
      await using writer = await store.create(key)
      await writer.write(0, Buffer.from(key))
      await writer.finish(key.length)
      assert.equal((await subject.get(key)).toString(), key)
      await store.remove(key)
    }
    for (const key of [
      '',
      '.',
      '..',
      'a..b',
      '../x',
      'a/b',
      '/a',
      'ä',
      'a b',
      'a~',
      'a\0',
      `${long}k`,
    ]) {
      await assert.rejects(store.create(key), failsWith('REQUEST_INVALID'), key)
      await assert.rejects(store.open(key), failsWith('REQUEST_INVALID'), key)
      await assert.rejects(store.remove(key), failsWith('REQUEST_INVALID'), key)
    }
  })

  it('lists what stands there, with sizes', async (t) => {
    const { store } = subject
    if (!store.list) return t.skip('the place cannot be listed')
    const sizes = [0, 1, 70_000]
    const keys = await Promise.all(sizes.map((size) => subject.put(patternOf(size))))
    const found = await Array.fromAsync(store.list())
    for (const [index, key] of keys.entries()) {
      const { size, finished } = found.find((one) => one.key === key)!
      assert.deepEqual({ size, finished }, { size: sizes[index], finished: true })
    }
    assert.equal(found.length, keys.length)
    for (const { modifiedAt } of found)
      assert.ok(Math.abs(modifiedAt.getTime() - Date.now()) < 3_600_000)
    for (const key of keys) await store.remove(key)
    assert.deepEqual(await Array.fromAsync(store.list()), [])
  })
}

export function describeWriting(subject: Subject): void {
  it('takes pieces of any length, and leaves their memory to the caller', async () => {
    const { store, largeSize } = subject
    const bytes = patternOf(largeSize, 4)
    const key = randomUUID()
    const buffer = Buffer.alloc(1 * MiB)
    const lengths = [1, 4096, 65_537, 1 * MiB, 3, 700_001, 1 * MiB - 1]
    await using writer = await store.create(key)
    let at = 0
    for (let index = 0; at < bytes.length; index++) {
      const length = Math.min(lengths[index % lengths.length]!, bytes.length - at)
      buffer.set(bytes.subarray(at, at + length))
      await writer.write(at, buffer.subarray(0, length))
      buffer.fill(0xee) // it is ours again
      at += length
    }
    await writer.finish(bytes.length)
    assert.ok(bytes.equals(await subject.get(key)))
    await store.remove(key)
  })

  it('makes zeros in the middle, at the end, and of everything', async () => {
    const { store } = subject
    const size = 2 * MiB + 5000
    const key = randomUUID()
    await using writer = await store.create(key)
    await writer.write(0, Buffer.alloc(1000, 1))
    await writer.zeros(1000, 1 * MiB)
    await writer.write(1000 + 1 * MiB, Buffer.alloc(500, 2))
    await writer.zeros(1500 + 1 * MiB, 100)
    await writer.finish(size)
    const expected = Buffer.alloc(size)
    expected.fill(1, 0, 1000).fill(2, 1000 + 1 * MiB, 1500 + 1 * MiB)
    assert.ok(expected.equals(await subject.get(key)))
    await store.remove(key)

    const nothing = randomUUID()
    await using empty = await store.create(nothing)
    await empty.zeros(0, 300 * KiB)
    await empty.finish(300 * KiB)
    assert.ok(Buffer.alloc(300 * KiB).equals(await subject.get(nothing)))
    await store.remove(nothing)
  })

  it('writes several objects at once', async () => {
    const { store } = subject
    const keys = [randomUUID(), randomUUID(), randomUUID()]
    await Promise.all(
      keys.map(async (key, index) => {
        const bytes = patternOf(600_000, index + 10)
        await using writer = await store.create(key, bytes.length)
        for (let at = 0; at < bytes.length; at += 100_000)
          await writer.write(at, bytes.subarray(at, at + 100_000))
        await writer.finish(bytes.length)
      }),
    )
    for (const [index, key] of keys.entries()) {
      assert.ok(patternOf(600_000, index + 10).equals(await subject.get(key)))
      await store.remove(key)
    }
  })

  it('takes writes in any order, or only in order, as it says', async () => {
    const { store } = subject
    const key = randomUUID()
    await using writer = await store.create(key)
    await writer.write(0, Buffer.from('0123'))
    if (!store.anyOrder) {
      await assert.rejects(writer.write(8, Buffer.from('89')))
      await assert.rejects(writer.write(0, Buffer.from('89')))
      await assert.rejects(writer.zeros(8, 1))
      await writer.write(4, Buffer.from('4567'))
      await writer.finish(8)
      assert.equal((await subject.get(key)).toString(), '01234567')
    } else {
      await writer.write(8, Buffer.from('89ab'))
      await writer.write(4, Buffer.from('4567'))
      await writer.zeros(9, 2)
      await writer.write(0, Buffer.from('*'))
      await writer.write(14, Buffer.from('dropped'))
      await writer.finish(14)
      assert.equal((await subject.get(key)).toString('latin1'), '*12345678\0\0b\0\0')
    }
    await store.remove(key)
  })

  it('refuses what no object can be', async () => {
    const { store } = subject
    await using writer = await store.create(randomUUID())
    await writer.write(0, patternOf(100))
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 60])
      await assert.rejects(writer.write(offset, Buffer.from('x')))
    await assert.rejects(writer.zeros(100, -1))
    await assert.rejects(writer.zeros(100, Number.NaN))
    await assert.rejects(writer.finish(store.anyOrder ? -1 : 99))
    await assert.rejects(
      writer.write(100, Buffer.from('x')),
      'what could not be finished has ended',
    )
  })

  it('counts what it takes', async () => {
    const { counters } = subject.store
    const before = { ...counters }
    const key = await subject.put(patternOf(12_345))
    await subject.store.remove(key)
    assert.equal(counters.created - before.created, 1)
    assert.equal(counters.removed - before.removed, 1)
    assert.equal(counters.bytesWritten - before.bytesWritten, 12_345)
  })
}
