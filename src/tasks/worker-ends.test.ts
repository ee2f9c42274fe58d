import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openDatabase } from '../database/open-database.ts'
import { LEASE_MS } from '../testing/ledger-bench.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { DONE, failing, kindOf, openWorkerScene } from '../testing/worker-scene.ts'
import { ledgerMigrations } from './ledger-migrations.ts'
import type { Task } from './task.ts'

const temp = await tempDir()
const database = await openDatabase({ sqlite: temp('worker.db') }, ledgerMigrations, makeContext())
after(() => database[Symbol.asyncDispose]())

describe('a worker whose work fails', () => {
  it('undoes it, and says why', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = failing(new Failure('STORE_FULL', 'store fast is full'))
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(work.happened, ['undo: store fast is full'])
    assert.deepEqual(await statusOf(id), ['failure', 'store fast is full', 'free'])
  })

  it('tells nobody but the log of bugs', async () => {
    const { bench, here, warnings, open, statusOf } = await openWorkerScene(database)
    const work = failing(new TypeError('undefined is not a function'))
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(await statusOf(id), ['failure', 'internal error, see the log', 'free'])
    assert.deepEqual(warnings, ['task.failed'])
  })

  it('takes work that did not end its task for failed', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = kindOf({ run: async () => {} })
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.equal((await statusOf(id))?.[0], 'failure')
  })

  it('undoes it again and again, by whichever server, until that succeeds', async () => {
    const { bench, here, there, open, statusOf } = await openWorkerScene(database)
    let away = true
    const kind = {
      undo: async (_task: Task, reason: Error) => {
        work.happened.push(`undo: ${reason.message}`)
        if (away) throw new Failure('STORE_AWAY', 'no route to store')
      },
    }
    const work = failing(new Failure('STORE_FULL', 'full'), kind)
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.equal((await here.ledger.get(id))?.failing, 'full')
    here.kill()
    await open(work.kind, { node: there })
    await bench.pass(10 * LEASE_MS)
    assert.ok(work.happened.length > 3, work.happened.join())
    away = false
    for (let left = 12; left > 0 && (await statusOf(id))?.[0] === 'processing'; left -= 1)
      await bench.pass(LEASE_MS)
    assert.deepEqual(await statusOf(id), ['failure', 'full', 'free'])
    assert.deepEqual([...new Set(work.happened)], ['undo: full'])
  })

  it('lets undo end the task in the transaction in which it puts things back', async () => {
    const { bench, here, warnings, open, statusOf } = await openWorkerScene(database)
    const { kind } = failing(new Failure('STORE_FULL', 'full'), {
      undo: (_task, _reason, lease) =>
        here.database.write((tx) => lease.finish({ status: 'failure', message: 'put back' }, tx)),
    })
    const { queue } = await open(kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(await statusOf(id), ['failure', 'put back', 'free'])
    assert.deepEqual(warnings, [])
  })

  it('begins it anew, after a rest, if that will pass', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    let times = 0
    const work = kindOf({
      isPassing: (error) => error.message === 'busy',
      async run(lease) {
        times += 1
        if (times < 3) throw new Failure('STORE_AWAY', 'busy')
        await lease.finish(DONE)
      },
    })
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.equal(times, 1)
    await bench.pass(4 * LEASE_MS)
    assert.equal(times, 3)
    assert.deepEqual(work.happened, [])
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
  })

  it('undoes nothing when an answer was lost and the task had ended', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = kindOf({
      async run(lease) {
        await here.database.write((tx) => lease.finish(DONE, tx))
        throw new Failure('STORE_AWAY', 'the answer was lost')
      },
    })
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(work.happened, [])
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
  })
})

describe('a worker whose task is cancelled', () => {
  it('stops the work and undoes it', async () => {
    const { bench, here, there, open, statusOf } = await openWorkerScene(database)
    const work = kindOf({ waits: true })
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    await there.ledger.cancel(id)
    await bench.pass(LEASE_MS / 3 + 1000)
    assert.deepEqual(work.happened, ['run', 'undo: the task was cancelled'])
    assert.deepEqual(await statusOf(id), ['failure', 'the task was cancelled', 'free'])
  })

  it('does not begin it', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = kindOf()
    const { id } = await bench.add(here)
    await here.ledger.cancel(id)
    const { worker } = await open(work.kind)
    await worker.sweep()
    assert.deepEqual(work.happened, ['undo: the task was cancelled'])
    assert.deepEqual(await statusOf(id), ['failure', 'the task was cancelled', 'free'])
  })
})

describe('a worker that is closed', () => {
  it('lets what runs come to its end, and takes no more', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = kindOf({ waits: true })
    const { worker, queue } = await open(work.kind, { concurrency: 1 })
    const [first, second] = [await bench.add(here), await bench.add(here)]
    await queue.offer(first.id)
    await queue.offer(second.id)
    await bench.settled()
    const closing = worker[Symbol.asyncDispose]()
    await bench.settled()
    work.goOn()
    await closing
    assert.deepEqual(await statusOf(first.id), ['success', 'done', 'free'])
    assert.deepEqual(await statusOf(second.id), ['pending', '', 'free'])
  })

  it('stops what takes too long, and gives it back for others to begin anew at once', async () => {
    const { bench, here, there, open, statusOf } = await openWorkerScene(database)
    const work = kindOf({ waits: true })
    const { worker, queue } = await open(work.kind, { drainMs: 5000 })
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    const closing = worker[Symbol.asyncDispose]()
    await bench.pass(6000)
    await closing
    assert.deepEqual(await statusOf(id), ['pending', '', 'free'])
    const other = kindOf()
    await open(other.kind, { node: there })
    await bench.settled()
    assert.deepEqual(other.happened, ['run'])
    assert.equal((await there.ledger.get(id))?.attempts, 2)
  })

  it('leaves behind what does not listen, and fences it off', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const { promise, resolve } = Promise.withResolvers<void>()
    const deaf = kindOf({
      async run(lease) {
        await promise
        await lease.finish(DONE)
      },
    })
    const { worker, queue } = await open(deaf.kind, { drainMs: 1000, stopMs: 1000 })
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    const closing = worker[Symbol.asyncDispose]()
    await bench.pass(3000)
    await closing
    assert.deepEqual(await statusOf(id), ['pending', '', 'free'])
    resolve()
    await bench.settled()
    assert.deepEqual(await statusOf(id), ['pending', '', 'free'])
  })
})
