/** How tasks end: with a transaction, cancelled, undone. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from './fails-with.ts'
import { LEASE_MS } from './ledger-bench.ts'
import { DONE, GONE_WRONG, type LedgerScene } from './_ledger-scene.ts'

export function describeEnding(scene: () => LedgerScene): void {
  describe('ends a task with a transaction', () => {
    it('that stands', async () => {
      const { bench, here, there, begin } = scene()
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
      const { bench, there, begin, claimed } = scene()
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
      const { here, there, begin } = scene()
      const lease = await begin()
      await here.ledger.cancel(lease.task.id)
      assert.ok(failsWith('TASK_CANCELLED')(lease.signal.reason))
      assert.equal((await there.ledger.get(lease.task.id))?.cancelled, true)
    })

    it('with the next heartbeat, or note, what runs elsewhere', async () => {
      const { bench, there, begin } = scene()
      const [beating, noting] = [await begin(), await begin()]
      await there.ledger.cancel(beating.task.id)
      await there.ledger.cancel(noting.task.id)
      assert.equal(beating.signal.aborted, false)
      await assert.rejects(noting.note(['key']), failsWith('TASK_CANCELLED'))
      await bench.pass(LEASE_MS / 3 + 1000)
      assert.ok(failsWith('TASK_CANCELLED')(beating.signal.reason))
    })

    it('what nobody works on: whoever takes it hears at once', async () => {
      const { bench, here, there, claimed } = scene()
      const { id } = await bench.add(here)
      await here.ledger.cancel(id)
      assert.ok(failsWith('TASK_CANCELLED')((await claimed(id, there)).signal.reason))
    })

    it('nothing that has ended, or is not there', async () => {
      const { here, begin } = scene()
      const lease = await begin()
      await lease.finish(DONE)
      await here.ledger.cancel(lease.task.id)
      await here.ledger.cancel('nobody')
      assert.equal((await here.ledger.get(lease.task.id))?.cancelled, false)
    })
  })

  describe('once the work has failed', () => {
    it('keeps why, for whoever undoes it, and lets the work itself change nothing more', async () => {
      const { bench, there, begin } = scene()
      const lease = await begin()
      const undoing = await lease.giveUp(GONE_WRONG)
      assert.equal((await there.ledger.get(lease.task.id))?.failing, 'internal error, see the log')
      await assert.rejects(lease.finish(DONE), failsWith('LEASE_LOST'))
      await lease[Symbol.asyncDispose]()
      assert.equal(await there.ledger.claim(lease.task.id), undefined)
      await bench.pass(LEASE_MS * 3)
      await undoing.finish({ status: 'failure', message: 'undone' })
      assert.equal((await there.ledger.get(lease.task.id))?.failing, null)
    })

    it('goes on with undoing what was cancelled', async () => {
      const { bench, here, begin } = scene()
      const lease = await begin()
      await here.ledger.cancel(lease.task.id)
      const undoing = await lease.giveUp(lease.signal.reason)
      await bench.pass(LEASE_MS)
      assert.equal(undoing.signal.aborted, false)
      assert.equal(undoing.task.failing, 'the task was cancelled')
    })
  })
}
