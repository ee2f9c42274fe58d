import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { openDatabase } from '../database/open-database.ts'
import { LEASE_MS } from '../testing/ledger-bench.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { DONE, kindOf, openWorkerScene, SWEEP_MS } from '../testing/worker-scene.ts'
import { ledgerMigrations } from './ledger-migrations.ts'

const temp = await tempDir()
const database = await openDatabase({ sqlite: temp('worker.db') }, ledgerMigrations, makeContext())
after(() => database[Symbol.asyncDispose]())

describe('a worker', () => {
  it('does what the queue brings', async () => {
    const { bench, here, open, statusOf } = await openWorkerScene(database)
    const work = kindOf()
    const { queue } = await open(work.kind)
    const { id } = await bench.add(here)
    await queue.offer(id)
    await bench.settled()
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
    assert.deepEqual(work.happened, ['run'])
  })

  it('does so many at a time as it was told', async () => {
    const { bench, here, open } = await openWorkerScene(database)
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
    const { bench, here, open } = await openWorkerScene(database)
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
    const { bench, here, open, statusOf } = await openWorkerScene(database)
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
    const { bench, open, statusOf, abandoned } = await openWorkerScene(database)
    const id = await abandoned()
    const work = kindOf()
    await open(work.kind)
    await bench.settled()
    assert.deepEqual(work.happened, ['run'])
    assert.deepEqual(await statusOf(id), ['success', 'done', 'free'])
  })

  it('undoes what a dead server had begun and cannot be begun anew', async () => {
    const { bench, open, statusOf, abandoned } = await openWorkerScene(database)
    const id = await abandoned()
    const work = kindOf({ resumes: false })
    await open(work.kind)
    await bench.settled()
    assert.deepEqual(work.happened, ['undo: its server ended before it was done'])
    assert.deepEqual(await statusOf(id), ['failure', 'its server ended before it was done', 'free'])
  })

  it('undoes what a request had begun, behind no work that runs', async () => {
    const { bench, here, open } = await openWorkerScene(database)
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
    const { bench, open, statusOf, abandoned } = await openWorkerScene(database)
    const id = await abandoned(5)
    const work = kindOf()
    const { worker } = await open(work.kind)
    await bench.pass(5 * LEASE_MS)
    await worker.sweep()
    const message = 'given up after 5 attempts: none came to its end'
    assert.deepEqual(work.happened, [`undo: ${message}`])
    assert.deepEqual(await statusOf(id), ['failure', message, 'free'])
  })

  it('forgets tasks that ended long ago', async () => {
    const { bench, here, open } = await openWorkerScene(database)
    const { id } = await bench.add(here)
    const lease = await here.ledger.claim(id)
    await lease?.finish(DONE)
    await open(kindOf().kind)
    await bench.pass(20 * LEASE_MS)
    assert.equal(await here.ledger.get(id), undefined)
  })

  it('leaves what it does not know alone, and says so once', async () => {
    const { bench, here, warnings, open, statusOf } = await openWorkerScene(database)
    const { id } = await bench.add(here, { type: 'from the future' })
    const { worker, queue } = await open(kindOf().kind)
    await queue.offer(id)
    await worker.sweep()
    assert.deepEqual(await statusOf(id), ['pending', '', 'free'])
    assert.deepEqual(warnings, ['task.unknown'])
  })

  it('that was cut off from the database neither ends nor undoes what others have taken over', async () => {
    const { bench, here, there, open, statusOf } = await openWorkerScene(database)
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
})
