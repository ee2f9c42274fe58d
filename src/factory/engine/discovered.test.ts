import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openTestFactory } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { type Discovered, defineOsBuilder, type OsBuilder } from '../os-builder.ts'

const at = await tempDir()
const OF_NOBODY = '5c0a2a7e-6f0c-4b7b-9d4b-3f1f1e1d2c3b'

/** A builder whose cloud holds these things. */
function builderOf(name: string, things: Set<Discovered>): OsBuilder {
  return defineOsBuilder<unknown>({
    name,
    summary: 'a cloud',
    options: Type.Object({}),
    concurrency: 1,
    refuses: () => 'never',
    build: () => Promise.reject(new Error('never')),
    clear: async (gone) => {
      for (const one of things) if (gone.includes(one.thing)) things.delete(one)
      return []
    },
    discover: async () => [...things],
  })
}

test('what builders find and no build knows of is listed, and removed when its image is named', async () => {
  const things = new Set<Discovered>([
    { imageId: OF_NOBODY, thing: 'server' },
    { imageId: OF_NOBODY, thing: 'port' },
  ])
  const broken: OsBuilder = {
    ...builderOf('broken', new Set()),
    discover: () => Promise.reject(new Failure('CONFIG_INVALID', 'no cloud is named')),
  }
  const builders = [broken, builderOf('cloud', things)]
  await using bench = await openTestFactory({ directory: at('found'), builders })
  const { factory } = bench
  const found = await factory.leftovers()
  assert.deepEqual(
    found.map(({ imageId, part, thing }) => [imageId, part, thing]),
    [
      [OF_NOBODY, 'builder/cloud', 'server'],
      [OF_NOBODY, 'builder/cloud', 'port'],
    ],
  )
  assert.match(found[0]?.reason ?? '', /another Ingot/)
  // It may be under way elsewhere: nothing goes that was not named.
  assert.equal((await factory.reap()).length, 2)
  assert.deepEqual(await factory.reap(OF_NOBODY), [])
  assert.equal(things.size, 0)
})

test('a cloud that is named is where builders look; what they cannot look at is told then', async () => {
  const asked: (string | undefined)[] = []
  const builder: OsBuilder = {
    ...builderOf('cloud', new Set()),
    discover: async ({ cloud }) => {
      asked.push(cloud)
      if (cloud === 'unknown') throw new Failure('CONFIG_INVALID', 'no cloud unknown')
      return cloud === 'other' ? [{ imageId: OF_NOBODY, thing: 'port' }] : []
    },
  }
  await using bench = await openTestFactory({ directory: at('named'), builders: [builder] })
  const { factory } = bench
  assert.deepEqual(await factory.leftovers(), [])
  assert.deepEqual(
    (await factory.leftovers('other')).map(({ thing }) => thing),
    ['port'],
  )
  await assert.rejects(factory.leftovers('unknown'), failsWith('CONFIG_INVALID'))
  await assert.rejects(factory.reap(undefined, 'unknown'), failsWith('CONFIG_INVALID'))
  assert.equal((await factory.reap(undefined, 'other')).length, 1)
  assert.deepEqual(asked, [undefined, 'other', 'unknown', 'unknown', 'other', 'other'])
})
