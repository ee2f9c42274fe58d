import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import type { Json } from '../../tasks/task.ts'
import { mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { defineCloudTarget } from '../cloud-target.ts'
import type { Job } from '../os-builder.ts'

const at = await tempDir()
const CREDENTIALS = { password: 'right-password' }

/** A cloud in which each push makes a thing, then does what `pushes` say, one after the other; `clears`: likewise. */
function cloud({
  pushes,
  clears,
}: {
  readonly pushes: readonly ((job: Job) => Promise<void>)[]
  readonly clears: readonly (() => Promise<readonly Json[]>)[]
}) {
  const [push, clear] = [pushes.values(), clears.values()]
  let made = 0
  return defineCloudTarget<object, object, { readonly password: string }>({
    name: 'cloud',
    summary: 'for tests',
    options: Type.Object({}),
    provider: {
      options: Type.Object({}),
      credentials: Type.Object({ password: Type.String({ secret: true }) }),
    },
    format: () => 'raw',
    push: async (job) => {
      const holding = await job.holdings.add({ number: (made += 1) })
      await push.next().value?.(job)
      await holding.drop()
      return { identifier: `${made}` }
    },
    clear: async () => (await clear.next().value?.()) ?? [],
  })
}

const fails = async () => {
  throw new Failure('BUILD_FAILED', 'no luck')
}
const cannotClear = async () => {
  throw new Failure('CLOUD_AWAY', 'the cloud is away')
}
const succeeds = async () => {}
const clearsAll = async () => []

const open = async (name: string, target: ReturnType<typeof cloud>) =>
  await openTestFactory({ directory: at(name), targets: [target] })

const ORDER = {
  requester: REQUESTER,
  target: 'cloud',
  provider: 'there',
  credentials: CREDENTIALS,
  template: mockTemplate(),
  parameters: {},
  unknownParameters: 'refuse' as const,
}

const thingsOf = (leftovers: readonly { readonly thing: unknown }[]) =>
  leftovers.map(({ thing }) => thing)

describe('what builds left elsewhere', () => {
  it('can be removed after the image was begun again, and is COMPLETE', async () => {
    const target = cloud({ pushes: [fails, succeeds], clears: [cannotClear, clearsAll] })
    await using bench = await open('complete', target)
    const { factory } = bench
    const image = await bench.ended(await factory.orderProvider(ORDER))
    assert.deepEqual(thingsOf(await factory.leftovers()), [{ number: 1 }])
    const again = await bench.ended(await factory.retry(image.id, { credentials: CREDENTIALS }))
    assert.equal(again.status, 'COMPLETE')
    assert.deepEqual(await factory.reap(), [])
  })

  it('is not forgotten when more of it comes while somebody removes it', async () => {
    const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const clearsSlowly = async () => {
      begun.resolve()
      await end.promise
      return []
    }
    const clears = [cannotClear, clearsSlowly, cannotClear]
    await using bench = await open('more', cloud({ pushes: [fails, fails], clears }))
    const { factory } = bench
    const image = await bench.ended(await factory.orderProvider(ORDER))
    const reaping = factory.reap()
    await begun.promise
    await bench.ended(await factory.retry(image.id, { credentials: CREDENTIALS }))
    end.resolve()
    assert.deepEqual(thingsOf(await reaping), [{ number: 2 }])
  })

  it('takes no secret with it that the image needs, which is begun again', async () => {
    const begun = Promise.withResolvers<void>()
    const waits = async ({ context: { signal } }: Job) => {
      begun.resolve()
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    }
    const clears = [cannotClear, clearsAll]
    const before = await open('secret', cloud({ pushes: [fails, waits], clears }))
    const image = await before.ended(await before.factory.orderProvider(ORDER))
    await before.factory.retry(image.id, { credentials: CREDENTIALS })
    await begun.promise
    assert.deepEqual(await before.factory.reap(), [])
    await before[Symbol.asyncDispose]()
    await using after = await open('secret', cloud({ pushes: [], clears: [] }))
    const { status, error } = await after.ended(image)
    assert.deepEqual([status, error], ['COMPLETE', null])
  })
})
