import assert from 'node:assert/strict'
import type { Database } from '../database/database.ts'
import type { TaskTables } from '../tasks/_task-table.ts'
import type { Lease, NewTask } from '../tasks/task.ts'
import { LEASE_MS, LedgerBench, type LedgerNode } from './ledger-bench.ts'

export const DONE = { status: 'success', message: 'done' } as const
export const GONE_WRONG = new Error('gone wrong')

/** What the cases share: two servers with one ledger, which holds nothing yet. */
export interface LedgerScene {
  readonly bench: LedgerBench
  readonly here: LedgerNode
  readonly there: LedgerNode
  /** A task that is begun as it is added; `here` unless told. */
  begin(task?: Partial<NewTask>, node?: LedgerNode): Promise<Lease>
  /** The lease of a task, which nobody else may hold; for `here` unless told. */
  claimed(id: string, node?: LedgerNode): Promise<Lease>
  /** A task that was begun `here`, and was taken over by `there` while the wire was cut. */
  takenOver(): Promise<{ readonly old: Lease; readonly taken: Lease }>
}

export async function openLedgerScene(database: Database): Promise<LedgerScene> {
  await database.write((tx) => tx.as<TaskTables>().deleteFrom('tasks').execute())
  const bench = new LedgerBench(database)
  const here = await bench.node('here')
  const there = await bench.node('there')

  const begin = async (task: Partial<NewTask> = {}, node = here): Promise<Lease> => {
    const added = { id: bench.newId(), type: 'work', owner: 'project', input: {}, ...task }
    const start = await database.write((tx) => node.ledger.begin(tx, added))
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
  return { bench, here, there, begin, claimed, takenOver }
}
