import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeContext } from '../base/context.ts'
import type { Catalog, ImageCount } from '../images/catalog.ts'
import { ImageCounts } from './_image-counts.ts'

const MINUTE_MS = 60_000

/** A catalog that counts when it is told to, and a clock. */
function openScene() {
  let now = 0
  const asked: PromiseWithResolvers<readonly ImageCount[]>[] = []
  const counts = () => {
    const answer = Promise.withResolvers<readonly ImageCount[]>()
    asked.push(answer)
    return answer.promise
  }
  const catalog = { counts } satisfies Pick<Catalog, 'counts'>
  const context = makeContext({ now: () => new Date(now) })
  return {
    asked,
    read: new ImageCounts({ catalog, context }),
    pass: (ms: number) => void (now += ms),
  }
}

const some = (count: number): ImageCount[] => [{ status: 'active', visibility: 'public', count }]

it('images are counted once a minute at most, however often that is asked', async () => {
  const { asked, read, pass } = openScene()
  const first = [read.read(), read.read()]
  asked[0]?.resolve(some(1))
  assert.deepEqual(await Promise.all(first), [some(1), some(1)])
  pass(MINUTE_MS - 1)
  assert.deepEqual(await read.read(), some(1))
  assert.equal(asked.length, 1)
})

it('while images are counted again, what they were before is told', async () => {
  const { asked, read, pass } = openScene()
  const first = read.read()
  asked[0]?.resolve(some(1))
  await first
  pass(MINUTE_MS)
  assert.deepEqual(await read.read(), some(1))
  asked[1]?.resolve(some(2))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(await read.read(), some(2))
})

it('of a database that is away nothing is told, and it is asked again', async () => {
  const { asked, read } = openScene()
  const away = read.read()
  asked[0]?.reject(new Error('away'))
  assert.deepEqual(await away, [])
  const back = read.read()
  asked[1]?.resolve(some(3))
  assert.deepEqual(await back, some(3))
})
