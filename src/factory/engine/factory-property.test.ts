import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../../base/failure.ts'
import {
  mockTemplate,
  openTestFactory,
  REQUESTER,
  type TestFactory,
} from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { isFinal } from '../factory-image.ts'

const at = await tempDir()

type Step =
  | { readonly do: 'order'; readonly what: 'base' | 'target' | 'provider'; readonly fails: boolean }
  | { readonly do: 'cancel' | 'retry' | 'delete'; readonly which: number }
  | { readonly do: 'restart' | 'rest' }

const which = fc.nat({ max: 20 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('order' as const),
    what: fc.constantFrom('base', 'target', 'provider'),
    fails: fc.boolean(),
  }),
  fc.record({ do: fc.constantFrom('cancel', 'retry', 'delete'), which }),
  fc.record({ do: fc.constantFrom('restart', 'rest') }),
)

async function take(bench: TestFactory, one: Step): Promise<void> {
  const { factory } = bench
  if (!('which' in one) && one.do !== 'order') {
    // What was ordered may begin, or go on, before the next step.
    if (one.do === 'rest') await new Promise((resolve) => setImmediate(resolve))
    return
  }
  const credentials = { password: 'of-the-provider' }
  if (one.do === 'order') {
    const order = {
      requester: REQUESTER,
      target: 'mock',
      provider: 'anywhere',
      credentials,
      template: mockTemplate(),
      parameters: {
        mock_hold: 1,
        mock_push_hold: true,
        ...(one.fails && { mock_push_fail: 'push', mock_fail: 'build' }),
      },
      unknownParameters: 'tell' as const,
    }
    if (one.what === 'base') await factory.orderBase(order)
    else if (one.what === 'target') await factory.orderTarget(order)
    else await factory.orderProvider(order)
    return
  }
  const images = await factory.list({})
  const image = images[one.which % Math.max(1, images.length)]
  if (image === undefined) return
  try {
    if (one.do === 'delete') await factory.delete(image.id, { credentials })
    else await factory[one.do](image.id, { credentials })
  } catch (error) {
    const isForeseen = ['BUILD_STATE', 'BUILD_NOT_FOUND', 'REQUEST_INVALID'].some(
      (code) => isFailure(error) && error.code === code,
    )
    if (!isForeseen) throw error
  }
}

async function endAll({ factory }: TestFactory): Promise<void> {
  const patience = AbortSignal.timeout(60_000)
  for (const { id } of await factory.list({ limit: 1000 })) {
    try {
      for await (const _ of factory.follow(id, patience));
    } catch (error) {
      if (!isFailure(error, 'BUILD_NOT_FOUND')) throw error // it was deleted meanwhile
    }
  }
}

it('whatever happens in whatever order, every image ends, and nothing is held', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const directory = at(`run-${(run += 1)}`)
      let bench = await openTestFactory({ directory })
      try {
        for (const one of steps) {
          await take(bench, one)
          if (one.do !== 'restart') continue
          await bench[Symbol.asyncDispose]()
          bench = await openTestFactory({ directory })
        }
        await endAll(bench)
        const images = await bench.factory.list({ limit: 1000 })
        assert.ok(images.every(({ status }) => isFinal(status)))
        assert.deepEqual(await bench.factory.leftovers(), [])
        assert.deepEqual(readdirSync(bench.workDirectory), [])
        assert.deepEqual(thingsOf(bench), [])
        const tables = bench.database.read<{
          tasks: { id: string; hidden: number; type: string }
          factory_secrets: { image_id: string }
          images: { id: string }
        }>()
        assert.deepEqual(await tables.selectFrom('factory_secrets').selectAll().execute(), [])
        const bodies = new Set(images.map(({ bodyId }) => bodyId))
        const stored = await tables.selectFrom('images').select('id').execute()
        assert.deepEqual(new Set(stored.map(({ id }) => id)), new Set([...bodies].filter(Boolean)))
      } finally {
        await bench[Symbol.asyncDispose]()
      }
    }),
    { numRuns: 15 },
  )
})

function thingsOf({ cacheDirectory }: TestFactory): string[] {
  try {
    return readdirSync(join(cacheDirectory, 'mock-things'))
  } catch {
    return [] // none was ever made
  }
}
