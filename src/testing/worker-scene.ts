/** What tests of the worker share: servers with one ledger, kinds of work that note what is done with them. */
import assert from 'node:assert/strict'
import { makeContext } from '../base/context.ts'
import type { Database } from '../database/database.ts'
import { openLocalQueue } from '../tasks/local-queue.ts'
import type { Queue } from '../tasks/queue.ts'
import type { Lease, Task, TaskKind } from '../tasks/task.ts'
import { type Worker, type WorkerOptions, openWorker } from '../tasks/worker.ts'
import { DONE, openLedgerScene } from './_ledger-scene.ts'
import { LEASE_MS, type LedgerNode } from './ledger-bench.ts'

export { DONE }
export const SWEEP_MS = LEASE_MS / 2

/** A kind of work that notes what is done with it. Work waits until it is told to go on, if it is to. */
export function kindOf(kind: Partial<TaskKind> & { waits?: boolean } = {}) {
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

export function failing(error: unknown, more: Partial<TaskKind> = {}) {
  const run = async () => {
    throw error
  }
  return kindOf({ run, ...more })
}

/** Two servers with one ledger, which holds nothing yet, and workers that are opened `here` unless told. */
export async function openWorkerScene(database: Database) {
  const { bench, here, there } = await openLedgerScene(database)
  const warnings: string[] = []
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
  const abandoned = async (times = 1) => {
    const { id } = await bench.add(there)
    for (let time = 0; time < times; time += 1) {
      const doomed = await bench.node(`doomed ${time}`)
      assert.ok(await doomed.ledger.claim(id))
      doomed.kill()
      await bench.pass(LEASE_MS + 1000)
    }
    return id
  }
  return { bench, here, there, warnings, open, statusOf, abandoned }
}
