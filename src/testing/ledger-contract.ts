/** What every ledger keeps to, whatever the database. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Database } from '../database/database.ts'
import type { TaskTables } from '../tasks/_task-table.ts'
import type { Lease, NewTask } from '../tasks/task.ts'
import { failsWith } from './fails-with.ts'
import { KEEP_MS, LEASE_MS, LedgerBench, type LedgerNode } from './ledger-bench.ts'

const DONE = { status: 'success', message: 'done' } as const
const GONE_WRONG = new Error('gone wrong')

/** `open`: a database with the ledger's migrations, which the tests share. */
export function testLedger(name: string, skip: string | false, open: () => Promise<Database>) {
  describe(`the ledger in ${name}`, { skip }, () => {
    let database: Database
    let bench: LedgerBench
    let here: LedgerNode
    let there: LedgerNode

    before(async () => {
      database = await open()
    })
    beforeEach(async () => {
      await database.write((tx) => tx.as<TaskTables>().deleteFrom('tasks').execute())
      bench = new LedgerBench(database)
      here = await bench.node('here')
      there = await bench.node('there')
    })
    after(() => database[Symbol.asyncDispose]())

    const begin = async (task: Partial<NewTask> = {}, node = here): Promise<Lease> => {
      const added = { id: bench.newId(), type: 'work', owner: 'project', input: {}, ...task }
      const start = await bench.database.write((tx) => node.ledger.begin(tx, added))
      return start()
    }
    const claimed = async (id: string, node = here): Promise<Lease> => {
      const lease = await node.ledger.claim(id)
      assert.ok(lease, `${node.name} gets the task`)
      return lease
    }

    const takenOver = async () => {
      const old = await begin({ subject: 'image' })
      here.wire = 'cut'
      await bench.pass(LEASE_MS + 1000)
      const taken = await claimed(old.task.id, there)
      here.wire = 'whole'
      return { old, taken }
    }

    describe('keeps', () => {
      it('what a task is, and nothing for one that is not there', async () => {
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
        const added = await Promise.allSettled(
          [here, there, here, there, here].map((node) => bench.add(node, { subject: 'image' })),
        )
        const refused = added.filter(({ status }) => status === 'rejected')
        assert.equal(refused.length, 4)
        for (const { reason } of refused as PromiseRejectedResult[])
          assert.ok(failsWith('SUBJECT_BUSY')(reason), String(reason))
      })

      it('nothing of a transaction that did not stand', async () => {
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
        const lease = await begin({ hidden: true, subject: 'image' })
        assert.equal((await there.ledger.get(lease.task.id))?.hidden, true)
        await lease.finish(DONE)
        assert.equal(await there.ledger.get(lease.task.id), undefined)
        await begin({ hidden: true, subject: 'image' })
      })
    })

    describe('lists', () => {
      it('every task once, page by page, in either direction of every key', async () => {
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

    describe('gives a task', () => {
      it('to one of many who want it', async () => {
        const { id } = await bench.add(here)
        const wanted = await Promise.all(
          Array.from({ length: 12 }, (_, at) => (at % 2 ? here : there).ledger.claim(id)),
        )
        const got = wanted.filter((lease) => lease !== undefined)
        assert.equal(got.length, 1)
        assert.equal(got[0]?.task.attempts, 1)
        assert.equal(got[0]?.task.status, 'processing')
      })

      it('to nobody when it has ended, or is not there', async () => {
        const lease = await begin()
        await lease.finish(DONE)
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
        assert.equal(await there.ledger.claim('nobody'), undefined)
      })

      it('to its maker at once, when it is begun', async () => {
        const lease = await begin({ leftovers: ['key'] })
        assert.equal(lease.task.status, 'processing')
        assert.deepEqual(lease.task.leftovers, ['key'])
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
        assert.deepEqual(await there.ledger.orphans(), [])
      })

      it('to nobody else for as long as its holder lives', async () => {
        const lease = await begin()
        for (let minute = 0; minute < 5; minute += 1) {
          await bench.pass(60_000)
          assert.equal(await there.ledger.claim(lease.task.id), undefined)
        }
        assert.equal(lease.signal.aborted, false)
        await lease.finish(DONE)
      })

      it('to somebody else when its holder died, but not before its lease ran out', async () => {
        const lease = await begin()
        here.kill()
        await bench.pass(LEASE_MS - 1000)
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
        assert.deepEqual(await there.ledger.orphans(), [])
        await bench.pass(1001)
        assert.deepEqual(
          (await there.ledger.orphans()).map(({ id }) => id),
          [lease.task.id],
        )
        const taken = await claimed(lease.task.id, there)
        assert.equal(taken.task.attempts, 2)
        await taken.finish(DONE)
      })

      it('at once to somebody else when it is given back, and counts that beginning no more', async () => {
        const { id } = await bench.add(here)
        const first = await claimed(id)
        await first.giveBack()
        assert.equal((await there.ledger.get(id))?.status, 'pending')
        const second = await claimed(id, there)
        assert.equal(second.task.attempts, 2)
        await second.giveBack()
        assert.equal((await claimed(id)).task.attempts, 2)
      })

      it('at once to somebody else when its ledger is closed', async () => {
        const lease = await begin()
        await here.ledger[Symbol.asyncDispose]()
        assert.ok(failsWith('LEASE_LOST')(lease.signal.reason))
        await claimed(lease.task.id, there)
      })

      it('at once to the successor of a server of which there is but one', async () => {
        const lease = await begin()
        const other = await begin({}, there)
        here.kill()
        const successor = await bench.node('here', { sole: true })
        await claimed(lease.task.id, successor)
        assert.equal(await successor.ledger.claim(other.task.id), undefined)
      })

      it('to the sweep after a rest that grows, when its workers keep dying', async () => {
        const { id } = await bench.add(here)
        for (const restMs of [0, 0, LEASE_MS, 2 * LEASE_MS]) {
          assert.equal((await there.ledger.orphans()).length, restMs > 0 ? 0 : 1)
          if (restMs > 0) {
            await bench.pass(restMs - 1000)
            assert.deepEqual(await there.ledger.orphans(), [])
            await bench.pass(1000)
            assert.equal((await there.ledger.orphans()).length, 1)
          }
          const lease = await claimed(id)
          await lease[Symbol.asyncDispose]()
        }
        await there.ledger.cancel(id)
        assert.equal((await there.ledger.orphans()).length, 1, 'what was cancelled rests no more')
      })
    })

    describe('lets nobody change anything who was taken over from:', () => {
      it('not the end, and nothing else of its transaction', async () => {
        const { old, taken } = await takenOver()
        const finishing = bench.database.write(async (tx) => {
          await here.ledger.add(tx, { id: 'made by it', type: 'work', owner: null, input: {} })
          await old.finish(DONE, tx)
        })
        await assert.rejects(finishing, failsWith('LEASE_LOST'))
        await assert.rejects(old.finish(DONE), failsWith('LEASE_LOST'))
        assert.equal(await there.ledger.get('made by it'), undefined)
        assert.equal((await there.ledger.get(old.task.id))?.status, 'processing')
        await taken.finish(DONE)
        await assert.rejects(old.finish(DONE), failsWith('LEASE_LOST'))
        assert.equal((await there.ledger.get(old.task.id))?.status, 'success')
      })

      it('nothing in between', async () => {
        const { old, taken } = await takenOver()
        await assert.rejects(old.note(['mine']), failsWith('LEASE_LOST'))
        await assert.rejects(
          bench.database.write((tx) => old.guard(tx)),
          failsWith('LEASE_LOST'),
        )
        await assert.rejects(old.giveUp(GONE_WRONG), failsWith('LEASE_LOST'))
        await assert.rejects(old.giveBack(), failsWith('LEASE_LOST'))
        await old[Symbol.asyncDispose]()
        const task = await there.ledger.get(old.task.id)
        assert.equal(task?.holder, taken.task.holder)
        assert.deepEqual(task?.leftovers, [])
        await bench.database.write((tx) => taken.guard(tx))
      })

      it('not even when it wins the task again', async () => {
        const { old, taken } = await takenOver()
        await taken.giveBack()
        await claimed(old.task.id)
        await assert.rejects(old.finish(DONE), failsWith('LEASE_LOST'))
      })
    })

    for (const wire of ['cut', 'hangs'] as const)
      it(`stops a worker whose database ${wire === 'cut' ? 'is away' : 'does not answer'} before anybody else can begin`, async () => {
        const lease = await begin()
        here.wire = wire
        let stoppedAt: number | undefined
        for (let second = 0; second <= LEASE_MS / 1000 + 1; second += 1) {
          await bench.pass(1000)
          if (lease.signal.aborted) stoppedAt ??= second
          const taken = await there.ledger.claim(lease.task.id)
          if (!taken) continue
          assert.ok(stoppedAt !== undefined && stoppedAt < second, `${stoppedAt} < ${second}`)
          assert.ok(failsWith('LEASE_LOST')(lease.signal.reason))
          bench.mend()
          await bench.settled()
          await bench.pass(LEASE_MS * 2)
          await taken.finish(DONE)
          return
        }
        assert.fail('nobody could take over')
      })

    it('keeps a lease through a short absence of the database', async () => {
      const lease = await begin()
      for (let time = 0; time < 4; time += 1) {
        here.wire = 'cut'
        await bench.pass(LEASE_MS / 3 + 2000)
        here.wire = 'whole'
        await bench.pass(LEASE_MS / 3)
      }
      assert.equal(lease.signal.aborted, false)
      await lease.finish(DONE)
    })

    it('learns within a heartbeat, and not before, how far the work is', async () => {
      const lease = await begin({ total: 100 })
      for (let done = 1; done <= 50; done += 1) lease.tell({ done, message: `${done} of 100` })
      assert.equal((await there.ledger.get(lease.task.id))?.done, 0)
      await bench.pass(LEASE_MS / 3 + 1000)
      const task = await there.ledger.get(lease.task.id)
      assert.deepEqual([task?.done, task?.total, task?.message], [50, 100, '50 of 100'])
    })

    describe('notes leftovers', () => {
      it('for good when it resolves, in place of those before', async () => {
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

    describe('ends a task with a transaction', () => {
      it('that stands', async () => {
        const lease = await begin({ subject: 'image' })
        await bench.database.write(async (tx) => {
          await lease.finish(DONE, tx)
          await here.ledger.add(tx, {
            id: 'next',
            type: 'work',
            owner: null,
            input: {},
            subject: 'image',
          })
        })
        await bench.pass(LEASE_MS * 2)
        assert.equal(lease.signal.aborted, false, 'what has ended is not lost')
        await lease[Symbol.asyncDispose]()
        assert.equal((await there.ledger.get(lease.task.id))?.status, 'success')
        assert.equal((await there.ledger.holderOf('image'))?.id, 'next')
      })

      it('and not with one that does not: the lease goes on, and is given back when it is closed', async () => {
        const lease = await begin({ hidden: true })
        const failing = bench.database.write(async (tx) => {
          await lease.finish(DONE, tx)
          throw GONE_WRONG
        })
        await assert.rejects(failing, GONE_WRONG)
        await bench.pass(LEASE_MS * 2)
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
        await lease[Symbol.asyncDispose]()
        await claimed(lease.task.id, there)
      })
    })

    describe('cancels', () => {
      it('at once what runs in the same process', async () => {
        const lease = await begin()
        await here.ledger.cancel(lease.task.id)
        assert.ok(failsWith('TASK_CANCELLED')(lease.signal.reason))
        assert.equal((await there.ledger.get(lease.task.id))?.cancelled, true)
      })

      it('with the next heartbeat, or note, what runs elsewhere', async () => {
        const [beating, noting] = [await begin(), await begin()]
        await there.ledger.cancel(beating.task.id)
        await there.ledger.cancel(noting.task.id)
        assert.equal(beating.signal.aborted, false)
        await assert.rejects(noting.note(['key']), failsWith('TASK_CANCELLED'))
        await bench.pass(LEASE_MS / 3 + 1000)
        assert.ok(failsWith('TASK_CANCELLED')(beating.signal.reason))
      })

      it('what nobody works on: whoever takes it hears at once', async () => {
        const { id } = await bench.add(here)
        await here.ledger.cancel(id)
        assert.ok(failsWith('TASK_CANCELLED')((await claimed(id, there)).signal.reason))
      })

      it('nothing that has ended, or is not there', async () => {
        const lease = await begin()
        await lease.finish(DONE)
        await here.ledger.cancel(lease.task.id)
        await here.ledger.cancel('nobody')
        assert.equal((await here.ledger.get(lease.task.id))?.cancelled, false)
      })
    })

    describe('once the work has failed', () => {
      it('keeps why, for whoever undoes it, and lets the work itself change nothing more', async () => {
        const lease = await begin()
        const undoing = await lease.giveUp(GONE_WRONG)
        assert.equal(
          (await there.ledger.get(lease.task.id))?.failing,
          'internal error, see the log',
        )
        await assert.rejects(lease.finish(DONE), failsWith('LEASE_LOST'))
        await lease[Symbol.asyncDispose]()
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
        await bench.pass(LEASE_MS * 3)
        await undoing.finish({ status: 'failure', message: 'undone' })
        assert.equal((await there.ledger.get(lease.task.id))?.failing, null)
      })

      it('goes on with undoing what was cancelled', async () => {
        const lease = await begin()
        await here.ledger.cancel(lease.task.id)
        const undoing = await lease.giveUp(lease.signal.reason)
        await bench.pass(LEASE_MS)
        assert.equal(undoing.signal.aborted, false)
        assert.equal(undoing.task.failing, 'the task was cancelled')
      })
    })
  })
}
