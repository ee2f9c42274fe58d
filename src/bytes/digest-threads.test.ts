import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { BLOCK, type DigestRing, DigestThreads } from './digest-threads.ts'

const content = randomBytes(20 * 1024 * 1024 + 13)

/** Puts bytes in blocks of this size. */
async function send(ring: DigestRing, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(await ring.take(), 0, at, Math.min(at + size, bytes.length))
    ring.put(length)
  }
}

const digestOf = (algorithm: string, bytes: Uint8Array) =>
  createHash(algorithm).update(bytes).digest('hex')

test('gives every digest of what was put, however it was cut', async () => {
  await using threads = new DigestThreads(2)
  for (const size of [BLOCK, 40_000]) {
    await using ring = threads.ring(['md5', 'sha512', 'sha256'])
    await send(ring, content, size)
    const digests = ['md5', 'sha512', 'sha256'].map((name) => digestOf(name, content))
    assert.deepEqual(await ring.end(), digests)
  }
})

test('gives the same digests of small content, which is digested where it is', async () => {
  await using threads = new DigestThreads(1)
  const whole = Buffer.concat([content.subarray(0, 70_000), Buffer.alloc(30_000)])
  for (const size of [BLOCK, 10_000, 1]) {
    await using ring = threads.ring(['md5', 'sha256'], whole.length)
    await send(ring, content.subarray(0, 70_000), Math.max(size, 7000))
    await ring.zeros(30_000)
    assert.deepEqual(await ring.end(), [digestOf('md5', whole), digestOf('sha256', whole)])
  }
  await using unknown = threads.ring(['no such digest'], 10)
  await assert.rejects(unknown.end(), /digest/i)
})

test('digests zeros of which nothing stands anywhere', async () => {
  await using threads = new DigestThreads()
  await using ring = threads.ring(['md5', 'sha512'])
  const head = content.subarray(0, 1000)
  await send(ring, head, BLOCK)
  await ring.zeros(3_000_001)
  await send(ring, head, BLOCK)
  const whole = Buffer.concat([head, Buffer.alloc(3_000_001), head])
  assert.deepEqual(await ring.end(), [digestOf('md5', whole), digestOf('sha512', whole)])
})

test('two threads serve many contents at once', async () => {
  await using threads = new DigestThreads(2)
  const digests = await Promise.all(
    Array.from({ length: 9 }, async (_, index) => {
      await using ring = threads.ring(['md5', 'sha1'])
      await send(ring, content.subarray(index * 1000), BLOCK)
      return await ring.end()
    }),
  )
  for (const [index, found] of digests.entries()) {
    const part = content.subarray(index * 1000)
    assert.deepEqual(found, [digestOf('md5', part), digestOf('sha1', part)])
  }
})

test('content that was given up does not change that which takes its memory', async () => {
  await using threads = new DigestThreads(1)
  for (let round = 0; round < 5; round++) {
    await using given = threads.ring(['md5'])
    await send(given, content.subarray(0, 3 * BLOCK), BLOCK)
  }
  await using ring = threads.ring(['md5'])
  await send(ring, content, BLOCK)
  assert.deepEqual(await ring.end(), [digestOf('md5', content)])
})

test('nothing has a digest too', async () => {
  await using threads = new DigestThreads()
  await using ring = threads.ring(['sha256'])
  assert.deepEqual(await ring.end(), [digestOf('sha256', Buffer.alloc(0))])
})

test('goes round without a digest as well', async () => {
  await using threads = new DigestThreads()
  await using ring = threads.ring([])
  await send(ring, content, BLOCK)
  assert.deepEqual(await ring.end(), [])
})

test('does not give out a block again that somebody keeps', async () => {
  await using threads = new DigestThreads()
  await using ring = threads.ring([])
  const kept = Promise.withResolvers<void>()
  const first = await ring.take()
  ring.put(1)
  ring.keep(kept.promise)
  for (let taken = 1; taken < 4; taken++) {
    await ring.take()
    ring.put(1)
  }
  let isThere = false
  const again = ring.take().then((block) => {
    isThere = true
    return block
  })
  await setImmediate()
  assert.equal(isThere, false)
  kept.resolve()
  assert.equal((await again).byteOffset, first.byteOffset)
})

test('blocks that were taken and never put do not matter in the end', async () => {
  await using threads = new DigestThreads()
  await using ring = threads.ring(['sha256'])
  await Promise.all([ring.take(), ring.take()])
  assert.deepEqual(await ring.end(), [digestOf('sha256', Buffer.alloc(0))])
})

test('a digest that nobody knows is told to whoever waits, and does no harm to others', async () => {
  await using threads = new DigestThreads(1)
  await using other = threads.ring(['md5'])
  await using ring = threads.ring(['no such digest'])
  await assert.rejects(ring.end(), /[Dd]igest/)
  await send(other, content, BLOCK)
  assert.deepEqual(await other.end(), [digestOf('md5', content)])
})

test('threads that end tell whoever waits', async () => {
  const threads = new DigestThreads(1)
  await using ring = threads.ring(['md5'])
  await threads[Symbol.asyncDispose]()
  await assert.rejects(ring.end(), /ended/)
})
