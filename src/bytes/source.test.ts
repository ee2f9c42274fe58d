import assert from 'node:assert/strict'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../base/process.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { cached } from './cached.ts'
import { memorySource, openFileSource, type Source, windowOf } from './source.ts'

const at = await tempDir()
const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 7) % 251))

/** Every way to the same thousand bytes. */
const ways: Record<string, () => Promise<Source>> = {
  'in memory': async () => memorySource(bytes),
  'in a file': async () => {
    await writeFile(at('bytes'), bytes)
    return await openFileSource(at('bytes'))
  },
  'in a window': async () =>
    windowOf(
      memorySource(Buffer.concat([Buffer.alloc(10), bytes, Buffer.alloc(10)])),
      10,
      1000,
      'w',
    ),
  'behind a cache': async () => cached(memorySource(bytes), { pageSize: 64, pages: 3 }),
}

for (const [name, open] of Object.entries(ways))
  describe(`a source ${name}`, () => {
    it('gives exactly what is asked for, anywhere inside', async () => {
      await using source = await open()
      assert.equal(source.size, 1000)
      const range = fc.nat(1000).chain((from) => fc.tuple(fc.constant(from), fc.nat(1000 - from)))
      await fc.assert(
        fc.asyncProperty(range, async ([from, length]) => {
          const found = await source.read(from, length)
          assert.deepEqual(Buffer.from(found), bytes.subarray(from, from + length))
        }),
      )
    })

    it('refuses what is not inside, in whatever way', async () => {
      await using source = await open()
      for (const [offset, length] of [
        [1000, 1],
        [999, 2],
        [-1, 1],
        [0, -1],
        [0, 1001],
        [Number.NaN, 1],
        [0, Number.NaN],
        [2 ** 60, 1],
        [1.5, 1],
        [0, Infinity],
      ] as const)
        await assert.rejects(source.read(offset, length), failsWith('IMAGE_TRUNCATED'))
    })
  })

describe('opening a file as a source', () => {
  it('says that there is no file', async () => {
    await assert.rejects(openFileSource(at('nothing')), failsWith('FILE_NOT_FOUND'))
  })

  it('refuses directories and pipes, and does not wait for a writer', async () => {
    await mkdir(at('directory'))
    await runTool(['mkfifo', at('pipe')])
    await assert.rejects(openFileSource(at('directory')), failsWith('FILE_UNREADABLE'))
    await assert.rejects(openFileSource(at('pipe')), failsWith('FILE_UNREADABLE'))
    await assert.rejects(openFileSource('/dev/zero'), failsWith('FILE_UNREADABLE'))
  })

  it('says so when the file has become shorter meanwhile', async () => {
    await writeFile(at('shrinks'), bytes)
    await using source = await openFileSource(at('shrinks'))
    await truncate(at('shrinks'), 500)
    await assert.rejects(source.read(400, 200), failsWith('IMAGE_TRUNCATED'))
    assert.deepEqual(Buffer.from(await source.read(400, 100)), bytes.subarray(400, 500))
  })
})

it('a window refuses to be where its source is not', () => {
  assert.throws(() => windowOf(memorySource(bytes), 990, 11, 'w'), failsWith('IMAGE_TRUNCATED'))
})

it('a cache asks for a page once while it is kept, and keeps a bounded number', async () => {
  const asked: number[] = []
  const below: Source = {
    ...memorySource(bytes),
    read: async (offset, length) => {
      asked.push(offset)
      return bytes.subarray(offset, offset + length)
    },
  }
  const source = cached(below, { pageSize: 100, pages: 2 })
  for (const offset of [5, 50, 99, 150, 7]) await source.read(offset, 1)
  assert.deepEqual(asked, [0, 100])
  await source.read(250, 1) // page 100 was used longest ago
  await source.read(8, 1)
  await source.read(150, 1)
  assert.deepEqual(asked, [0, 100, 200, 100])
  await source.read(0, 101)
  assert.deepEqual(asked, [0, 100, 200, 100, 0])
})
