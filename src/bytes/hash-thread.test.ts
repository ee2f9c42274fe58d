import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { HashThread } from './hash-thread.ts'

test('gives the digest of what was written, however it was cut', async () => {
  const content = randomBytes(11 * 1024 * 1024 + 13)
  for (const [algorithm, size] of [
    ['sha256', 3 * 1024 * 1024 + 1],
    ['md5', 40_000],
  ] as const) {
    await using thread = new HashThread(algorithm)
    const chunk = Buffer.alloc(size)
    for (let at = 0; at < content.length; at += size) {
      const length = content.copy(chunk, 0, at)
      await thread.write(chunk.subarray(0, length))
    }
    assert.equal(await thread.end(), createHash(algorithm).update(content).digest('hex'))
  }
})

test('nothing has a digest too', async () => {
  await using thread = new HashThread()
  assert.equal(await thread.end(), createHash('sha256').digest('hex'))
})

test('a thread that cannot work is told to whoever waits', async () => {
  await using thread = new HashThread('no such digest')
  await assert.rejects(thread.end(), /[Dd]igest/)
})
