import assert from 'node:assert/strict'
import { after, beforeEach, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/open-database.ts'
import { LEASE_MS, LedgerBench, type LedgerNode } from '../testing/ledger-bench.ts'
import { tempDir } from '../testing/temp-dir.ts'
import type { TaskTables } from './_task-table.ts'
import { ledgerMigrations } from './ledger-migrations.ts'
import { openLocalQueue } from './local-queue.ts'
import type { Queue } from './queue.ts'
import type { Lease, Task, TaskKind } from './task.ts'
import { type Worker, type WorkerOptions, openWorker } from './worker.ts'

const DONE = { status: 'success', message: 'done' } as const
const SWEEP_MS = LEASE_MS / 2

const temp = await tempDir()
const database: Database = await openDatabase(
  { sqlite: temp('worker.db') },
  ledgerMigrations,
  makeContext(),
)
after(() => database[Symbol.asyncDispose]())

/** A kind of work that notes what is done with it. Work waits until it is told to go on, if it is to. */
function kindOf(kind: Partial<TaskKind> & { waits?: boolean } = {}) {
  const { waits = false, ...given } = kind
  const happened: string[] = []
  const gates: (() => void)[] = []
  const leases: Lease[] = []
  return {
    happened,
    leases,
    goOn: () => {
      for (const open of gates.splice(0)) open()
    },
    kind: {
      type: 'work',
      resumes: true,
      async run(lease: Lease) {
        happened.push('run')
        leases.push(lease)
        if (waits) {
          const { promise, resolve, reject } = Promise.withResolvers<void>()
          gates.push(resolve)
          lease.signal.addEventListener('abort', () => reject(lease.signal.reason))
          await promise
        }
        await lease.finish(DONE)
      },
      async undo(_task: Task, reason: Error) {
        happened.push(`undo: ${reason.message}`)
      },
      ...given,
    } satisfies TaskKind,
  }
}

function failing(error: unknown, more: Partial<TaskKind> = {}) {
  const run = async () => {
    throw error
  }
  return kindOf({ run, ...more })
}

describe('a worker', () => {
  let bench: LedgerBench
  let here: LedgerNode
  let there: LedgerNode
  let warnings: string[]

  beforeEach(async () => {
    await database.write((tx) => tx.as<TaskTables>().deleteFrom('tasks').execute())
    bench = new LedgerBench(database)
    here = await bench.node('here')
    there = await bench.node('there')
    warnings = []
  })

  const open = async (
    kind: TaskKind,
    { node = here, ...options }: Partial<WorkerOptions> & { node?: LedgerNode } = {},
  ): Promise<{ worker: Worker; queue: Queue }> => {
    const context = makeContext({
      log: {
        debug: () => {},
        info: () => {},
        warn: (event) => void warnings.push(event),
        error: (event) => void warnings.push(event),
      },
    })
    const queue = options.queue ?? openLocalQueue(context)
    const { ledger, timers } = node
    const worker = await openWorker(
      { ledger, queue, kinds: [kind], concurrency: 2, sweepMs: SWEEP_MS, timers, ...options },
      context,
    )
    await bench.settled()
    return { worker, queue }
  }
  const statusOf = async (id: string) => {
    const task = await there.ledger.get(id)
    return task && [task.status, task.message, task.holder === null ? 'free' : 'held']
  }
  /** A task that a server held which is no more; its lease has run out. */
  const abandoned = async (times = 1, hidden = false) => {
    const { id } = await bench.add(there, { hidden })
    for (let time = 0; time < times; time += 1) {
      const doomed = await bench.node(`doomed ${time}`)
      assert.ok(await doomed.ledger.claim(id))
      doomed.kill()
      await bench.pass(LEASE_MS + 1000)
    }
    return id
  }

  it('does what the queue brings', async () => {
    const work = kindOf()
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
    assert.deepEqual(work.happened, ['run'])
  })

  it('does so many at a time as it was told', async () => {
    const work = kindOf({ waits: true })
    const { queue } = await open(work.kind)
    for (let at = 0; at < 5; at += 1) await queue.offer((await bench.add(here)).id)
    await bench.settled()
    assert.equal(work.happened.length, 2)
    while ((await here.ledger.list({ status: 'success' })).length < 5) {
      work.goOn()
      await bench.settled()
      assert.ok(work.leases.filter(({ task }) => task.status === 'processing').length <= 2)
    }
  })

  it('never gives all it can do at a time to one project, and leaves nothing of it undone', async () => {
    const work = kindOf({ waits: true })
    const { queue } = await open(work.kind, { concurrency: 3 })
    for (let at = 0; at < 5; at += 1) await queue.offer((await bench.add(here)).id)
    const other = await bench.add(here, { owner: 'another' })
    await queue.offer(other.id)
    await bench.settled()
    const owners = () => work.leases.map(({ task }) => task.owner)
    assert.deepEqual(owners(), ['project', 'project', 'another'])
    while ((await here.ledger.list({ status: 'success' })).length < 6) {
      work.goOn()
      await bench.settled()
    }
    assert.deepEqual(work.leases.length, 6, 'each once')
  })

  it('does what the queue lost, and does what it brought twice once', async () => {
    const work = kindOf()
    const lost = await bench.add(here)
    const { queue } = await open(work.kind)
    await bench.settled()
    assert.deepEqual(await statusOf(lost.id), ['success', 'done', 'free'], 'as it opens')
    const later = await bench.add(here)
    await bench.pass(SWEEP_MS + 1000)
    assert.deepEqual(await statusOf(later.id), ['success', 'done', 'free'], 'by a later sweep')
    await queue.offer(later.id)
    await queue.offer(later.id)
    await queue.offer('nobody')
    await bench.settled()
    assert.deepEqual(work.happened, ['run', 'run'])
  })

  it('begins anew what a dead server had begun', async () => {
    const id = await abandoned()
    const work = kindOf()
    await open(work.kind)
    await bench.settled()
    assert.deepEqual(work.happened, ['run'])
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
  })

  it('undoes what a dead server had begun and cannot be begun anew', async () => {
    const id = await abandoned()
    const work = kindOf({ resumes: false })
    await open(work.kind)
    await bench.settled()
    assert.deepEqual(work.happened, ['undo: its server ended before it was done'])
    assert.deepEqual(await statusOf(id), ['failure', 'its server ended before it was done', 'free'])
  })

  it('undoes what a request had begun, behind no work that runs', async () => {
    const busy = kindOf({ waits: true })
    const undone: string[] = []
    const upload = kindOf({
      type: 'upload',
      resumes: false,
      undo: async (task) => void undone.push(task.id),
    })
    const { queue, worker } = await open(busy.kind, { kinds: [busy.kind, upload.kind] })
    for (let at = 0; at < 3; at += 1) await queue.offer((await bench.add(here)).id)
    const dying = await bench.node('dying')
    const task = { id: 'up', type: 'upload', owner: null, input: {}, hidden: true }
    ;(await database.write((tx) => dying.ledger.begin(tx, task)))()
    dying.kill()
    await bench.pass(LEASE_MS + 1000)
    await worker.sweep()
    assert.deepEqual(undone, ['up'])
    assert.equal(await here.ledger.get('up'), undefined)
  })

  it('gives up what it was begun five times for in vain', async () => {
    const id = await abandoned(5)
    const work = kindOf()
    const { worker } = await open(work.kind)
    await bench.pass(5 * LEASE_MS)
    await worker.sweep()
    const message = 'given up after 5 attempts: none came to its end'
    assert.deepEqual(work.happened, [`undo: ${message}`])
    assert.deepEqual(await statusOf(id), ['failure', message, 'free'])
  })

  describe('when the work fails', () => {
    it('undoes it, and says why', async () => {
      const work = failing(new Failure('STORE_FULL', 'store fast is full'))
      const { queue } = await open(work.kind)
      const { id } = await bench.add(here)
      await queue.offer(id)
      await bench.settled()
      assert.deepEqual(work.happened, ['undo: store fast is full'])
      assert.deepEqual(await statusOf(id), ['failure', 'store fast is full', 'free'])
    })

    it('tells nobody but the log of bugs', async () => {
      const work = failing(new TypeError('undefined is not a function'))
      const { queue } = await open(work.kind)
      const { id } = await bench.add(here)
      await queue.offer(id)
      await bench.settled()
      assert.deepEqual(await statusOf(id), ['failure', 'internal error, see the log', 'free'])
      assert.deepEqual(warnings, ['task.failed'])
    })

    it('takes work that did not end its task for failed', async () => {
      const work = kindOf({ run: async () => {} })
      const { queue } = await open(work.kind)
      const { id } = await bench.add(here)
      await queue.offer(id)
      await bench.settled()
      assert.equal((await statusOf(id))?.[0], 'failure')
    })

    it('undoes it again and again, by whichever server, until that succeeds', async () => {
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

  describe('when a task is cancelled', () => {
    it('stops the work and undoes it', async () => {
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
      const work = kindOf()
      const { id } = await bench.add(here)
      await here.ledger.cancel(id)
      const { worker } = await open(work.kind)
      await worker.sweep()
      assert.deepEqual(work.happened, ['undo: the task was cancelled'])
      assert.deepEqual(await statusOf(id), ['failure', 'the task was cancelled', 'free'])
    })
  })

  it('forgets tasks that ended long ago', async () => {
    const { id } = await bench.add(here)
    const lease = await here.ledger.claim(id)
    await lease?.finish(DONE)
    await open(kindOf().kind)
    await bench.pass(20 * LEASE_MS)
    assert.equal(await here.ledger.get(id), undefined)
  })

  it('leaves what it does not know alone, and says so once', async () => {
    const { id } = await bench.add(here, { type: 'from the future' })
    const { worker, queue } = await open(kindOf().kind)
    await queue.offer(id)
    await worker.sweep()
    assert.deepEqual(await statusOf(id), ['pending', '', 'free'])
    assert.deepEqual(warnings, ['task.unknown'])
  })

  it('that was cut off from the database neither ends nor undoes what others have taken over', async () => {
    const slow = kindOf({ waits: true })
    const { queue } = await open(slow.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    here.wire = 'cut'
    const other = kindOf()
    await open(other.kind, { node: there })
    await bench.pass(3 * LEASE_MS)
    assert.deepEqual(other.happened, ['run'])
    here.wire = 'whole'
    slow.goOn()
    await bench.pass(LEASE_MS)
    assert.deepEqual(slow.happened, ['run'])
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
  })

  describe('when it is closed', () => {
    it('lets what runs come to its end, and takes no more', async () => {
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
})
