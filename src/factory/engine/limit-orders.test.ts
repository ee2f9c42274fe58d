import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFailure } from '../../base/failure.ts'
import { openDatabaseKinds } from '../../testing/database-kinds.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { baseOrder, mockTemplate, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'

const at = await tempDir()
const { kinds } = await openDatabaseKinds()

const chainOrder = {
  ...baseOrder(),
  target: 'mock',
  provider: 'anywhere',
  credentials: {},
}

for (const { kind, skip, address } of kinds) {
  const open = async (name: string, maxUnderWay: number, works = false) => {
    const [directory, database] = [at(`${kind}-${name}`), await address()]
    return await openTestFactory({ directory, database, settings: { maxUnderWay }, works })
  }

  describe(`a limit of images under way, on ${kind}`, { skip }, () => {
    it('counts every stage of an order, and keeps nothing of one that is too many', async () => {
      await using bench = await open('stages', 4)
      const { factory } = bench
      await factory.orderProvider(chainOrder)
      await assert.rejects(
        factory.orderTarget({ ...baseOrder(), target: 'mock' }),
        (error) =>
          isFailure(error, 'QUOTA_EXCEEDED') &&
          /project p-alice .* more than 4 images/.test(error.message) &&
          /cancel them.*factory\.max_under_way/.test(error.fix ?? ''),
      )
      assert.equal((await factory.list({})).length, 3)
      await factory.orderBase(baseOrder())
      await assert.rejects(factory.orderBase(baseOrder()), failsWith('QUOTA_EXCEEDED'))
    })

    it('is that of one project, and of orders of none', async () => {
      await using bench = await open('projects', 1)
      for (const owner of ['p-alice', 'p-bob', null]) {
        const order = { ...baseOrder(), requester: { ...REQUESTER, owner } }
        await bench.factory.orderBase(order)
        await assert.rejects(bench.factory.orderBase(order), failsWith('QUOTA_EXCEEDED'))
      }
    })

    it('is kept when all are ordered at the same time', async () => {
      await using bench = await open('at-once', 5)
      const orders = Array.from({ length: 12 }, () => bench.factory.orderBase(baseOrder()))
      const results = await Promise.allSettled(orders)
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 5)
      assert.equal((await bench.factory.list({})).length, 5)
    })

    it('counts what begins again, and no more what has ended', async () => {
      await using bench = await open('again', 1, true)
      const { factory } = bench
      const failed = await bench.ended(await factory.orderBase(baseOrder({ mock_fail: 'it' })))
      const waiting = await factory.orderBase(baseOrder({ mock_wait: 3600 }))
      await assert.rejects(factory.retry(failed.id), failsWith('QUOTA_EXCEEDED'))
      assert.equal((await factory.get(failed.id)).status, 'FAILED')
      await bench.ended(await factory.cancel(waiting.id))
      await bench.ended(await factory.retry(failed.id))
    })

    it('lets everything be ordered when there is none, and a template with faults be kept', async () => {
      await using unlimited = await open('unlimited', -1)
      await unlimited.factory.orderProvider(chainOrder)
      await using closed = await open('closed', 0)
      const order = { ...baseOrder(), invalidTemplate: 'fail' as const }
      const kept = await closed.factory.orderBase({ ...order, template: { text: '<template/>' } })
      assert.equal(kept.status, 'FAILED')
      await assert.rejects(
        closed.factory.orderBase({ ...order, template: mockTemplate() }),
        failsWith('QUOTA_EXCEEDED'),
      )
    })
  })
}
