/** Who gets a task, for how long, and that whoever lost it changes nothing any more. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { failsWith } from './fails-with.ts'
import { LEASE_MS } from './ledger-bench.ts'
import { DONE, GONE_WRONG, type LedgerScene } from './_ledger-scene.ts'

/** Whether somebody waits for a row of this PostgreSQL's database. */
async function someWait(database: Database): Promise<boolean> {
  const { rows } = await sql`select 1 from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(database.read())
  return rows.length > 0
}

export function describeFencing(scene: () => LedgerScene): void {
  describe('gives a task', () => {
    it('to one of many who want it', async () => {
      const { bench, here, there } = scene()
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
      const { there, begin } = scene()
      const lease = await begin()
      await lease.finish(DONE)
      assert.equal(await there.ledger.claim(lease.task.id), undefined)
      assert.equal(await there.ledger.claim('nobody'), undefined)
    })

    it('to its maker at once, when it is begun', async () => {
      const { there, begin } = scene()
      const lease = await begin({ leftovers: ['key'] })
      assert.equal(lease.task.status, 'processing')
      assert.deepEqual(lease.task.leftovers, ['key'])
      assert.equal(await there.ledger.claim(lease.task.id), undefined)
      assert.deepEqual(await there.ledger.orphans(), [])
    })

    it('to nobody else for as long as its holder lives', async () => {
      const { bench, there, begin } = scene()
      const lease = await begin()
      for (let minute = 0; minute < 5; minute += 1) {
        await bench.pass(60_000)
        assert.equal(await there.ledger.claim(lease.task.id), undefined)
      }
      assert.equal(lease.signal.aborted, false)
      await lease.finish(DONE)
    })

    it('to somebody else when its holder died, but not before its lease ran out', async () => {
      const { bench, here, there, begin, claimed } = scene()
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

    for (const how of ['write', 'writeRows'] as const)
      it(`to nobody while its holder changes things (${how}), even if its lease has run out`, async (test) => {
        const { bench, here, there, begin } = scene()
        const { database } = bench
        if (database.kind === 'sqlite') return test.skip('one writer at a time')
        const lease = await begin()
        here.kill()
        await bench.pass(LEASE_MS + 1)
        let seen: string | undefined
        const claimed = await database[how](async (tx) => {
          await lease.guard(tx)
          const claiming = there.ledger.claim(lease.task.id).finally(() => (seen ??= 'claimed'))
          while (seen === undefined) if (await someWait(database)) seen = 'waits'
          return { claiming }
        })
        assert.equal(seen, 'waits')
        const taken = await claimed.claiming
        assert.ok(taken)
        await taken.finish(DONE)
      })

    it('at once to somebody else when it is given back, and counts that beginning no more', async () => {
      const { bench, here, there, claimed } = scene()
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
      const { here, there, begin, claimed } = scene()
      const lease = await begin()
      await here.ledger[Symbol.asyncDispose]()
      assert.ok(failsWith('LEASE_LOST')(lease.signal.reason))
      await claimed(lease.task.id, there)
    })

    it('at once to the successor of a server of which there is but one', async () => {
      const { bench, here, there, begin, claimed } = scene()
      const lease = await begin()
      const other = await begin({}, there)
      here.kill()
      const successor = await bench.node('here', { sole: true })
      await claimed(lease.task.id, successor)
      assert.equal(await successor.ledger.claim(other.task.id), undefined)
    })

    it('to the sweep after a rest that grows, when its workers keep dying', async () => {
      const { bench, here, there, claimed } = scene()
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
      const { bench, here, there, takenOver } = scene()
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
      const { bench, there, takenOver } = scene()
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
      const { claimed, takenOver } = scene()
      const { old, taken } = await takenOver()
      await taken.giveBack()
      await claimed(old.task.id)
      await assert.rejects(old.finish(DONE), failsWith('LEASE_LOST'))
    })
  })

  for (const wire of ['cut', 'hangs'] as const)
    it(`stops a worker whose database ${wire === 'cut' ? 'is away' : 'does not answer'} before anybody else can begin`, async () => {
      const { bench, here, there, begin } = scene()
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
    const { bench, here, begin } = scene()
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
}
