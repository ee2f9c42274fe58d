import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { BLOCK, BlockRing } from './block-ring.ts'

const content = randomBytes(20 * 1024 * 1024 + 13)

/** Puts bytes in blocks of this size. */
async function send(ring: BlockRing, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(await ring.take(), 0, at, Math.min(at + size, bytes.length))
    ring.put(length)
  }
}

test('gives the digest of what was put, however it was cut', async () => {
  for (const [algorithm, size] of [
    ['sha256', BLOCK],
    ['md5', 40_000],
  ] as const) {
    await using ring = new BlockRing(algorithm)
    await send(ring, content, size)
    assert.equal(await ring.end(), createHash(algorithm).update(content).digest('hex'))
  }
})

test('nothing has a digest too', async () => {
  await using ring = new BlockRing('sha256')
  assert.equal(await ring.end(), createHash('sha256').digest('hex'))
})

test('goes round without a digest as well', async () => {
  await using ring = new BlockRing(undefined)
  await send(ring, content, BLOCK)
  assert.equal(await ring.end(), undefined)
})

test('does not give out a block again that somebody keeps', async () => {
  await using ring = new BlockRing(undefined)
  const kept = Promise.withResolvers<void>()
  const first = await ring.take()
  ring.put(1)
  ring.keep(kept.promise)
  for (let taken = 1; taken < 8; taken++) {
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
  await using ring = new BlockRing('sha256')
  await Promise.all([ring.take(), ring.take()])
  assert.equal(await ring.end(), createHash('sha256').digest('hex'))
})

test('a thread that cannot work is told to whoever waits', async () => {
  await using ring = new BlockRing('no such digest')
  await assert.rejects(ring.end(), /[Dd]igest/)
})
