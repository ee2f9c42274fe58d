/** Whatever happens to its servers, in whatever order: every task ends once, and nobody ends it who was taken over from. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { sql } from 'kysely'
import { makeContext } from '../base/context.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/open-database.ts'
import { LEASE_MS, LedgerBench, type LedgerNode } from '../testing/ledger-bench.ts'
import { noPostgres, openPostgres } from '../testing/postgres.ts'
import { withStandingClock } from '../testing/standing-clock.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { ledgerMigrations } from './ledger-migrations.ts'
import { openLocalQueue } from './local-queue.ts'
import type { Lease, TaskKind } from './task.ts'
import { openWorker } from './worker.ts'

/** What happens: to a node, to a task. Numbers choose among those there are. */
const node = fc.nat(2)
const task = fc.nat(1)
const lease = fc.nat(3)
const event = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), node }),
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('claim' as const), node, task }) },
  fc.record({ kind: fc.constant('race' as const), task }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('finish' as const), lease, inTx: fc.boolean() }),
  },
  fc.record({ kind: fc.constant('note' as const), lease }),
  fc.record({ kind: fc.constant('give up' as const), lease }),
  fc.record({ kind: fc.constant('give back' as const), lease }),
  fc.record({ kind: fc.constant('close' as const), lease }),
  fc.record({ kind: fc.constant('cancel' as const), task, node }),
  fc.record({ kind: fc.constant('crash' as const), node }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mend' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      leases: fc.constantFrom(0.1, 0.9, 1.1),
    }),
  },
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

/** What the servers do to their tasks, and what must hold of it. `ends` is written by the transactions that end tasks. */
class Play {
  readonly #bench: LedgerBench
  readonly #database: Database
  readonly #tasks: string[] = []
  /** Those that their servers take for theirs. */
  readonly #leases: { lease: Lease; node: LedgerNode }[] = []
  /** Who may end a task: whoever got it last. */
  readonly #heirs = new Map<string, Lease>()
  #servers: LedgerNode[] = []
  #generation = 0

  constructor(database: Database) {
    this.#database = database
    this.#bench = new LedgerBench(database)
  }

  async begin(): Promise<void> {
    await this.#database.write(async (tx) => {
      await sql`delete from tasks`.execute(tx.as())
      await sql`delete from ends`.execute(tx.as())
    })
    for (let at = 0; at < 3; at += 1) this.#servers.push(await this.#server())
    this.#tasks.push((await this.#bench.add(this.#node(0))).id)
  }

  async happen(event: Event): Promise<void> {
    if (event.kind === 'add') this.#tasks.push((await this.#bench.add(this.#node(0))).id)
    else if (event.kind === 'claim')
      await this.#claim(this.#node(event.node), this.#task(event.task))
    else if (event.kind === 'race')
      await Promise.all(this.#servers.map((node) => this.#claim(node, this.#task(event.task))))
    else if (event.kind === 'cancel')
      await tried(this.#node(event.node).ledger.cancel(this.#task(event.task)))
    else if (event.kind === 'crash') await this.#crash(event.node)
    else if (event.kind === 'cut') this.#node(event.node).wire = 'cut'
    else if (event.kind === 'mend') this.#bench.mend()
    else if (event.kind === 'pass') await this.#bench.pass(event.leases * LEASE_MS)
    else await this.#work(event)
    await this.#check()
  }

  /** With workers that live, and wires that are whole, everything comes to its end. */
  async end(): Promise<void> {
    this.#bench.mend()
    const context = makeContext()
    const kind: TaskKind = {
      type: 'work',
      resumes: true,
      run: async (lease) => {
        this.#heirs.set(lease.task.id, lease)
        await this.#finish(lease)
      },
      undo: async () => {},
    }
    const options = { kinds: [kind], concurrency: 2, sweepMs: LEASE_MS / 2 }
    const workers = await Promise.all(
      this.#servers.map(({ ledger, timers }) =>
        openWorker({ ...options, ledger, timers, queue: openLocalQueue(context) }, context),
      ),
    )
    const { ledger } = this.#node(0)
    for (let left = 20; left > 0; left -= 1) {
      // Whoever still holds a lease has died by now, or its heart would beat for ever.
      for (const { lease } of this.#leases) await lease[Symbol.asyncDispose]()
      await this.#bench.pass(LEASE_MS)
      const tasks = await Promise.all(this.#tasks.map((id) => ledger.get(id)))
      if (tasks.every((task) => task?.expiresAt !== null)) break
    }
    await this.#bench.settled()
    for (const id of this.#tasks) {
      const task = await ledger.get(id)
      if (!task) continue // long ended, and forgotten
      assert.ok(task.expiresAt !== null, `task ${id} has ended: ${JSON.stringify(task)}`)
      assert.equal(task.holder, null)
    }
    await this.#check()
    for (const worker of workers) await worker[Symbol.asyncDispose]()
  }

  async #check(): Promise<void> {
    const { rows } = await sql<{ task: string }>`select task from ends`.execute(
      this.#database.read<never>(),
    )
    const ended = rows.map(({ task }) => task)
    assert.equal(new Set(ended).size, ended.length, 'no task ended twice')
    const worked = this.#leases
      .filter(({ lease }) => !lease.signal.aborted)
      .map(({ lease }) => lease.task.id)
    assert.equal(new Set(worked).size, worked.length, 'nobody works on what somebody else does')
  }

  async #work(event: Extract<Event, { lease: number }>): Promise<void> {
    const at = event.lease % Math.max(1, this.#leases.length)
    const held = this.#leases[at]
    if (!held) return
    const { lease, node } = held
    if (event.kind === 'note') await tried(lease.note([this.#bench.newId()]))
    if (event.kind === 'note') return
    if (event.kind === 'finish') {
      await tried(this.#finish(lease, event.inTx ? node : undefined))
      if (lease.task.status === 'success') this.#leases.splice(at, 1)
      return
    }
    this.#leases.splice(at, 1)
    if (event.kind === 'give back') await tried(lease.giveBack())
    if (event.kind === 'close') await lease[Symbol.asyncDispose]()
    if (event.kind !== 'give up') return
    const undoing = await tried(lease.giveUp(new Error('on purpose')))
    if (undoing) this.#hold(undoing, node)
    else this.#leases.push(held)
  }

  /** Ends a task, and writes in the same transaction that it did. Every other time the transaction fails first. */
  async #finish(lease: Lease, node?: LedgerNode): Promise<void> {
    const database = node?.database ?? this.#database
    if (node)
      await tried(
        database.write(async (tx) => {
          await lease.finish({ status: 'success', message: '' }, tx)
          await sql`insert into ends values (${lease.task.id})`.execute(tx.as())
          throw new Error('on purpose')
        }),
      )
    await database.write(async (tx) => {
      await lease.finish({ status: 'success', message: '' }, tx)
      await sql`insert into ends values (${lease.task.id})`.execute(tx.as())
    })
    const heir = this.#heirs.get(lease.task.id) ?? lease
    assert.equal(heir, lease, 'nobody ends a task who was taken over from')
  }

  async #claim(node: LedgerNode, id: string): Promise<void> {
    const lease = await tried(node.ledger.claim(id))
    if (lease) this.#hold(lease, node)
  }

  #hold(lease: Lease, node: LedgerNode): void {
    this.#leases.push({ lease, node })
    this.#heirs.set(lease.task.id, lease)
  }

  async #crash(index: number): Promise<void> {
    const node = this.#node(index)
    node.kill()
    const heirs = this.#leases.filter((held) => held.node !== node)
    this.#leases.splice(0, this.#leases.length, ...heirs)
    this.#servers = [...this.#servers.filter((server) => server !== node), await this.#server()]
  }

  #server(): Promise<LedgerNode> {
    return this.#bench.node(`server ${(this.#generation += 1)}`)
  }

  #node(index: number): LedgerNode {
    const node = this.#servers[index]
    assert.ok(node)
    return node
  }

  #task(index: number): string {
    return this.#tasks[index % this.#tasks.length] ?? ''
  }
}

/** What it gives; nothing if it failed, as it may. */
async function tried<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof assert.AssertionError) throw error
    return undefined
  })
}

const migrations = [
  ...ledgerMigrations,
  {
    name: 'test-001',
    up: (db: Parameters<(typeof ledgerMigrations)[0]['up']>[0]) =>
      db.schema.createTable('ends').addColumn('task', 'text').execute(),
  },
]

async function play(database: Database, numRuns: number): Promise<void> {
  const events = fc.array(event, { minLength: 5, maxLength: 40 })
  const property = fc.asyncProperty(events, async (events) => {
    const stage = new Play(database)
    await stage.begin()
    for (const event of events) await stage.happen(event)
    await stage.end()
  })
  await fc.assert(property, { numRuns })
  await database[Symbol.asyncDispose]()
}

const temp = await tempDir()
const postgres = noPostgres ? undefined : await openPostgres()
const full = process.env['INGOT_TEST_FULL'] === '1'

test('every task ends, and ends once, in SQLite', async () => {
  const database = await openDatabase({ sqlite: temp('play.db') }, migrations, makeContext())
  await play(database, full ? 2000 : 150)
})

test('every task ends, and ends once, in PostgreSQL', { skip: noPostgres }, async () => {
  const address = { postgres: (await postgres?.createDatabase()) ?? '' }
  const database = await openDatabase(await withStandingClock(address), migrations, makeContext())
  await play(database, full ? 200 : 15)
})
