/** Servers that share a ledger, made for tests: time passes when it is told to, and wires are cut. */
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Database } from '../database/database.ts'
import type { Ledger } from '../tasks/ledger.ts'
import { openLedger } from '../tasks/open-ledger.ts'
import type { NewTask } from '../tasks/task.ts'
import { FakeTimers } from './fake-timers.ts'
import { moveClock } from './standing-clock.ts'

export const LEASE_MS = 30_000
export const KEEP_MS = 120_000

export interface LedgerNode {
  readonly name: string
  readonly ledger: Ledger
  /** The database by its wire. */
  readonly database: Database
  readonly timers: FakeTimers
  /** `cut`: the database fails at once; `hangs`: it does not answer until it is mended. */
  wire: 'whole' | 'cut' | 'hangs'
  /** As kill -9: what it holds stays as it is in the database. */
  kill(): void
}

export class LedgerBench {
  readonly database: Database
  readonly nodes: LedgerNode[] = []
  readonly #waiting = new Set<() => void>()
  #now = Date.UTC(2026, 0, 1)
  #ids = 0
  #pending = 0
  #settle: (() => void)[] = []

  constructor(database: Database) {
    this.database = database
  }

  readonly now = (): Date => new Date(this.#now)

  readonly newId = (): string => `id-${String((this.#ids += 1)).padStart(6, '0')}`

  async node(name: string, options: { sole?: boolean } = {}): Promise<LedgerNode> {
    const timers = new FakeTimers()
    const wired: Pick<LedgerNode, 'wire'> = { wire: 'whole' }
    const context = makeContext({ now: this.now, newId: this.newId })
    const database = this.#wired(wired)
    const ledger = await openLedger(
      database,
      { leaseMs: LEASE_MS, keepMs: KEEP_MS, holder: name, timers, ...options },
      context,
    )
    const node = Object.assign(wired, {
      name,
      ledger,
      database,
      timers,
      kill: () => {
        node.wire = 'cut'
        timers.stop()
        this.nodes.splice(this.nodes.indexOf(node), 1)
      },
    })
    this.nodes.push(node)
    return node
  }

  /** Adds a task by `node`. */
  async add(node: LedgerNode, task: Partial<NewTask> = {}) {
    const added = { id: this.newId(), type: 'work', owner: 'project', input: {}, ...task }
    return this.database.write((tx) => node.ledger.add(tx, added))
  }

  /** Time passes, for machines and for the database, in steps small enough for every heartbeat. */
  async pass(ms: number): Promise<void> {
    const step = LEASE_MS / 30
    for (let left = ms; left > 0; left -= step) {
      this.#now += Math.min(step, left)
      await moveClock(this.database, Math.min(step, left))
      for (const node of this.nodes) node.timers.advance(Math.min(step, left))
      await this.settled()
    }
  }

  /** When no query is under way but those that hang. */
  async settled(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#pending === 0) return
    await new Promise<void>((resolve) => void this.#settle.push(resolve))
    await this.settled()
  }

  /** Mends the wires of everyone. */
  mend(): void {
    for (const node of this.nodes) node.wire = 'whole'
    for (const go of this.#waiting) go()
    this.#waiting.clear()
  }

  #wired(node: Pick<LedgerNode, 'wire'>): Database {
    const { database } = this
    const through =
      (write: Database['write']): Database['write'] =>
      async (work) => {
        if (node.wire === 'hangs')
          await new Promise<void>((resolve) => void this.#waiting.add(resolve))
        if (node.wire === 'cut') throw away()
        this.#pending += 1
        try {
          return await write(work)
        } finally {
          this.#pending -= 1
          if (this.#pending === 0) for (const settled of this.#settle.splice(0)) settled()
        }
      }
    return {
      kind: database.kind,
      read<Tables>() {
        if (node.wire !== 'whole') throw away()
        return database.read<Tables>()
      },
      write: through((work) => database.write(work)),
      writeRows: through((work) => database.writeRows(work)),
      [Symbol.asyncDispose]: async () => {},
    }
  }
}

function away(): Failure {
  return new Failure('DATABASE_AWAY', 'the wire is cut')
}
