/** What a ledger keeps of tasks, and how it lists them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from './fails-with.ts'
import { KEEP_MS, LEASE_MS } from './ledger-bench.ts'
import { DONE, GONE_WRONG, type LedgerScene } from './_ledger-scene.ts'

export function describeKeeping(scene: () => LedgerScene): void {
  describe('keeps', () => {
    it('what a task is, and nothing for one that is not there', async () => {
      const { bench, here, there } = scene()
      const added = await bench.add(here, {
        type: 'api_image_import',
        userId: 'user',
        requestId: 'req-1',
        subject: 'image',
        input: { uri: 'http://x', 'ünïcode "quoted"': [1, null, true] },
        total: 2 ** 41,
        leftovers: [{ store: 'file', key: 'k' }],
      })
      assert.deepEqual(await there.ledger.get(added.id), added)
      assert.equal(added.status, 'pending')
      assert.equal(added.total, 2 ** 41)
      assert.deepEqual(added.leftovers, [{ store: 'file', key: 'k' }])
      assert.deepEqual(added.input, { uri: 'http://x', 'ünïcode "quoted"': [1, null, true] })
      assert.equal(added.holder, null)
      assert.equal(added.attempts, 0)
      assert.equal(await here.ledger.get('nobody'), undefined)
    })

    it('at most one unfinished task of a subject', async () => {
      const { bench, here, there, begin, claimed } = scene()
      const first = await bench.add(here, { subject: 'image' })
      await assert.rejects(bench.add(there, { subject: 'image' }), failsWith('SUBJECT_BUSY'))
      await assert.rejects(begin({ subject: 'image' }, there), failsWith('SUBJECT_BUSY'))
      await bench.add(there, { subject: 'another image' })
      await bench.add(here, {})
      await bench.add(there, {})
      assert.equal((await there.ledger.holderOf('image'))?.id, first.id)
      const lease = await claimed(first.id)
      await assert.rejects(bench.add(there, { subject: 'image' }), failsWith('SUBJECT_BUSY'))
      await lease.finish(DONE)
      assert.equal(await there.ledger.holderOf('image'), undefined)
      await bench.add(there, { subject: 'image' })
    })

    it('one of many tasks that are added for a subject at once', async () => {
      const { bench, here, there } = scene()
      const added = await Promise.allSettled(
        [here, there, here, there, here].map((node) => bench.add(node, { subject: 'image' })),
      )
      const refused = added.filter(({ status }) => status === 'rejected')
      assert.equal(refused.length, 4)
      for (const { reason } of refused as PromiseRejectedResult[])
        assert.ok(failsWith('SUBJECT_BUSY')(reason), String(reason))
    })

    it('nothing of a transaction that did not stand', async () => {
      const { bench, here } = scene()
      const id = bench.newId()
      const adding = bench.database.write(async (tx) => {
        await here.ledger.add(tx, { id, type: 'work', owner: null, input: {}, subject: 'image' })
        throw GONE_WRONG
      })
      await assert.rejects(adding, GONE_WRONG)
      assert.equal(await here.ledger.get(id), undefined)
      await bench.add(here, { subject: 'image' })
    })

    it('how a task ended, for a while', async () => {
      const { bench, here, there, claimed } = scene()
      const { id } = await bench.add(here, { subject: 'image', leftovers: ['x'] })
      const lease = await claimed(id)
      lease.tell({ done: 7, total: 9 })
      await lease.finish({ status: 'failure', message: 'no room', result: { why: 'full' } })
      const task = await there.ledger.get(id)
      assert.ok(task)
      assert.equal(task.status, 'failure')
      assert.equal(task.message, 'no room')
      assert.deepEqual(task.result, { why: 'full' })
      assert.equal(task.done, 7)
      assert.equal(task.holder, null)
      assert.equal((task.expiresAt?.getTime() ?? 0) - task.updatedAt.getTime(), KEEP_MS)
      await bench.pass(KEEP_MS / 2)
      assert.equal(await there.ledger.prune(), 0)
      await bench.pass(KEEP_MS / 2 + 1)
      const unfinished = await bench.add(here)
      assert.equal(await there.ledger.prune(), 1)
      assert.equal(await there.ledger.get(id), undefined)
      assert.ok(await there.ledger.get(unfinished.id))
    })

    it('no hidden task once it has ended', async () => {
      const { there, begin } = scene()
      const lease = await begin({ hidden: true, subject: 'image' })
      assert.equal((await there.ledger.get(lease.task.id))?.hidden, true)
      await lease.finish(DONE)
      assert.equal(await there.ledger.get(lease.task.id), undefined)
      await begin({ hidden: true, subject: 'image' })
    })
  })

  describe('lists', () => {
    it('every task once, page by page, in either direction of every key', async () => {
      const { bench, here, there } = scene()
      for (let at = 0; at < 7; at += 1) {
        await bench.add(here, { type: `type ${at % 3}` })
        if (at % 2 === 0) await bench.pass(1000)
      }
      for (const key of ['created_at', 'updated_at', 'type', 'status', 'id'] as const)
        for (const direction of ['asc', 'desc'] as const) {
          const all = await here.ledger.list({ sort: { key, direction } })
          assert.equal(all.length, 7)
          const paged = []
          let page = await here.ledger.list({ sort: { key, direction }, limit: 2 })
          while (page.length > 0) {
            paged.push(...page)
            const after = page.at(-1)
            assert.ok(after)
            page = await there.ledger.list({ sort: { key, direction }, limit: 2, after })
          }
          assert.deepEqual(paged, all)
        }
    })

    it('the newest first, narrowed by what is asked, without work of requests', async () => {
      const { bench, here, there, begin } = scene()
      const old = await bench.add(here, { owner: 'a', subject: 's', type: 'x' })
      await bench.pass(1000)
      const young = await bench.add(here, { owner: 'b', type: 'y' })
      await bench.pass(1000)
      const hidden = await begin({ owner: 'a', hidden: true })
      const ids = async (query: Parameters<typeof here.ledger.list>[0]) =>
        (await there.ledger.list(query)).map(({ id }) => id)
      assert.deepEqual(await ids({}), [young.id, old.id])
      assert.deepEqual(await ids({ owner: 'a' }), [old.id])
      assert.deepEqual(await ids({ subject: 's' }), [old.id])
      assert.deepEqual(await ids({ type: 'y' }), [young.id])
      assert.deepEqual(await ids({ status: 'processing' }), [])
      assert.deepEqual(await ids({ owner: 'a', hidden: true }), [hidden.task.id, old.id])
    })
  })

  it('learns within a heartbeat, and not before, how far the work is', async () => {
    const { bench, there, begin } = scene()
    const lease = await begin({ total: 100 })
    for (let done = 1; done <= 50; done += 1) lease.tell({ done, message: `${done} of 100` })
    assert.equal((await there.ledger.get(lease.task.id))?.done, 0)
    await bench.pass(LEASE_MS / 3 + 1000)
    const task = await there.ledger.get(lease.task.id)
    assert.deepEqual([task?.done, task?.total, task?.message], [50, 100, '50 of 100'])
  })

  describe('notes leftovers', () => {
    it('for good when it resolves, in place of those before', async () => {
      const { bench, here, there, begin, claimed } = scene()
      const lease = await begin()
      await lease.note([{ key: 'a' }])
      assert.deepEqual((await there.ledger.get(lease.task.id))?.leftovers, [{ key: 'a' }])
      await lease.note([{ key: 'b' }, { key: 'c' }])
      here.kill()
      await bench.pass(LEASE_MS + 1000)
      const taken = await claimed(lease.task.id, there)
      assert.deepEqual(taken.task.leftovers, [{ key: 'b' }, { key: 'c' }])
    })

    it('with a transaction, or not at all', async () => {
      const { bench, there, begin } = scene()
      const lease = await begin({ leftovers: ['a'] })
      const failing = bench.database.write(async (tx) => {
        await lease.note(['b'], tx)
        throw GONE_WRONG
      })
      await assert.rejects(failing, GONE_WRONG)
      assert.deepEqual((await there.ledger.get(lease.task.id))?.leftovers, ['a'])
      await bench.database.write((tx) => lease.note([], tx))
      assert.deepEqual((await there.ledger.get(lease.task.id))?.leftovers, [])
    })
  })
}
