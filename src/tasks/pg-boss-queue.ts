import { setTimeout } from 'node:timers/promises'
import type { PgBoss } from 'pg-boss'
import type { Context } from '../base/context.ts'
import { Failure, messageOf } from '../base/failure.ts'
import type { Queue } from './queue.ts'

/** Its tables have a schema of their own, and nobody but pg-boss touches them. */
const SCHEMA = 'ingot_queue'
const NAME = 'tasks'
const DAY_S = 86_400
/** How long anything of it is waited for: what is lost is found by the sweep of the ledger. */
const PATIENCE_MS = 5000

/**
 * The queue of several servers that share the PostgreSQL at `url`. A message is delivered to the server that asks first,
 * and no more after that: if that one dies, the task's lease runs out, and the ledger's sweep offers it again.
 * Fails with DATABASE_AWAY.
 */
export async function openPgBossQueue(url: string, { log }: Context): Promise<Queue> {
  const { PgBoss } = await import('pg-boss')
  const boss = new PgBoss({
    connectionString: url,
    schema: SCHEMA,
    application_name: 'ingot-queue',
    connectionTimeoutMillis: PATIENCE_MS,
    max: 4,
    schedule: false,
    useListenNotify: true,
  })
  const warn = (error: unknown) => log.warn('queue.failed', { error: messageOf(error) })
  boss.on('error', warn)
  boss.on('warning', warn)
  try {
    await boss.start()
    await boss.createQueue(NAME, {
      policy: 'short', // one message of a task waits; that it is worked on does not matter here
      notify: true,
      retryLimit: 0,
      expireInSeconds: DAY_S - 1,
      retentionSeconds: DAY_S,
      deleteAfterSeconds: 600,
    })
  } catch (error) {
    await boss.stop({ graceful: false }).catch(warn)
    throw new Failure('DATABASE_AWAY', `the queue of tasks cannot be opened: ${messageOf(error)}`, {
      cause: error,
    })
  }
  return new PgBossQueue(boss, warn)
}

class PgBossQueue implements Queue {
  readonly #boss: PgBoss
  readonly #warn: (error: unknown) => void

  constructor(boss: PgBoss, warn: (error: unknown) => void) {
    this.#boss = boss
    this.#warn = warn
  }

  async offer(taskId: string): Promise<void> {
    await this.#patiently(this.#boss.send(NAME, { taskId }, { singletonKey: taskId }))
  }

  /**
   * One worker of pg-boss asks, and only while there is a place: each that it has is woken by every message, and asks the
   * database. A message is delivered when its work has begun.
   */
  async work(concurrency: number, handle: (taskId: string) => Promise<void>): Promise<void> {
    let running = 0
    let left = Promise.withResolvers<void>()
    const begin = async (taskId: string) => {
      running += 1
      await handle(taskId).catch(this.#warn)
      running -= 1
      left.resolve()
    }
    const worker = await this.#boss.work<{ taskId: string }>(
      NAME,
      { pollingIntervalSeconds: 2, notifyPollingIntervalSeconds: 10 },
      async (jobs) => {
        for (const { data } of jobs) void begin(data.taskId)
        if (running >= concurrency) {
          left = Promise.withResolvers()
          await left.promise
        }
        this.#boss.notifyWorker(worker) // the next one may be waiting already
      },
    )
  }

  async rest(): Promise<void> {
    await this.#boss.offWork(NAME, { wait: false }).catch(this.#warn)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#patiently(this.#boss.stop({ graceful: false }))
  }

  /** A message may be lost, but nobody waits long for that. */
  async #patiently(work: Promise<unknown>): Promise<void> {
    const late = new AbortController()
    const lost = setTimeout(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => {})
    await Promise.race([work.catch(this.#warn), lost])
    late.abort()
  }
}
