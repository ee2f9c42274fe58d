import type { Context } from '../base/context.ts'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { atMost } from './_at-most.ts'
import { Lanes } from './_lanes.ts'
import { type Timers, realTimers } from './_timers.ts'
import type { Ledger } from './ledger.ts'
import { outcomeOf } from './outcome.ts'
import type { Queue } from './queue.ts'
import type { Lease, Task, TaskKind } from './task.ts'

export interface WorkerOptions {
  readonly ledger: Ledger
  readonly queue: Queue
  readonly kinds: readonly TaskKind[]
  /** Others do what is not among them: nothing is said of it. */
  readonly isPartial?: boolean
  /**
   * Tasks that are run at a time; what is undone comes on top, and kinds with places of their own. If they are more than two, no project has all of them: one
   * that downloads from slow servers does not keep the others waiting.
   */
  readonly concurrency: number
  /** Between two looks for tasks that nobody holds: half a lease. Default 15,000. */
  readonly sweepMs?: number
  /** What runs when the worker is closed has so long to end by itself, and then so long to stop. Default 10,000; 5,000. */
  readonly drainMs?: number
  readonly stopMs?: number
  readonly timers?: Timers
}

/**
 * Does the work that the ledger holds. Closing it takes no more, waits for what runs, then stops it and gives it back,
 * so that another server goes on.
 */
export interface Worker extends AsyncDisposable {
  /**
   * Looks for tasks that nobody holds: hands out what is to be run, and undoes what cannot be. It does so by itself when
   * it opens and from then on. Resolves when all that it undoes is undone, or will be tried again.
   */
  sweep(): Promise<void>
}

const ATTEMPTS = 5
/** Undone at a time. It waits for nothing that runs: an image must not stay `saving` behind an hour's import. */
const UNDOING = 4
const PRUNE_MS = 300_000
/** What the database fails with for a while. */
const OF_DATABASE = ['DATABASE_AWAY', 'DATABASE_BUSY', 'DATABASE_FULL'] as const

export async function openWorker(options: WorkerOptions, context: Context): Promise<Worker> {
  const worker = new LedgerWorker(options, context)
  await options.queue.work(options.concurrency, (taskId) => worker.handle(taskId))
  worker.begin()
  return worker
}

class LedgerWorker implements Worker {
  readonly #options: WorkerOptions
  readonly #context: Context
  readonly #timers: Timers
  readonly #kinds: ReadonlyMap<string, TaskKind>
  readonly #unknown = new Set<string>()
  readonly #lanes: Lanes
  readonly #undo = atMost(UNDOING)
  readonly #undoing = new Set<string>()
  /** Everything under way, by the lease it has now. */
  readonly #working = new Map<Lease, Promise<void>>()
  /** By project: how many of its tasks run here, and which wait for one of these to end. */
  readonly #shares = new Map<string | null, { running: number; waiting: Set<string> }>()
  #cancelSweep = (): void => {}
  #prunedAt: number
  #isClosing = false

  constructor(options: WorkerOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#timers = options.timers ?? realTimers
    this.#kinds = new Map(options.kinds.map((kind) => [kind.type, kind]))
    const most = options.kinds.map(({ type, concurrency }) => [type, concurrency] as const)
    this.#lanes = new Lanes(
      new Map(most.filter((one): one is [string, number] => one[1] !== undefined)),
    )
    this.#prunedAt = this.#timers.now()
  }

  begin(): void {
    void this.sweep()
    this.#cancelSweep = this.#timers.after(this.#options.sweepMs ?? 15_000, () => this.begin())
  }

  /** A task that the queue brought. */
  async handle(taskId: string): Promise<void> {
    if (this.#isClosing) return
    await this.#watch(taskId, async () => {
      const task = await this.#options.ledger.get(taskId)
      const kind = task && task.expiresAt === null ? this.#kindOf(task) : undefined
      if (!task || !kind) return
      const work = () => this.#take(taskId, kind)
      if (this.#lanes.has(task.type)) void this.#inLane(task, kind, work)
      else await this.#inTurn(task, work)
    })
  }

  /** Does the work in a place of its kind, so that whoever handed it out goes on at once. */
  async #inLane(task: Task, kind: TaskKind, work: () => Promise<void>): Promise<void> {
    const isToUndo = whyNotRun(task, kind, task.attempts) !== undefined
    await this.#watch(task.id, async () => {
      if (!isToUndo) await this.#lanes.run(task, work, (id) => this.#options.queue.offer(id))
      else if (!this.#undoing.has(task.id)) await this.#takeToUndo(task.id, kind)
    })
  }

  /** Does the work, unless its project has as much under way as it may: then its task is offered again afterwards. */
  async #inTurn({ id, owner }: Task, work: () => Promise<void>): Promise<void> {
    const { concurrency, queue } = this.#options
    const most = owner === null || concurrency <= 2 ? Infinity : concurrency - 1
    const share = this.#shares.get(owner) ?? { running: 0, waiting: new Set<string>() }
    if (share.running >= most) return void share.waiting.add(id)
    this.#shares.set(owner, share)
    share.waiting.delete(id)
    share.running += 1
    try {
      await work()
    } finally {
      share.running -= 1
      const [next] = share.waiting
      if (next !== undefined) {
        share.waiting.delete(next)
        await queue.offer(next)
      } else if (share.running === 0) this.#shares.delete(owner)
    }
  }

  async sweep(): Promise<void> {
    await this.#watch('', async () => {
      if (this.#isClosing) return
      const { ledger, queue } = this.#options
      const undone: Promise<void>[] = []
      for (const task of await ledger.orphans(this.#lanes.full)) {
        const kind = this.#kindOf(task)
        if (!kind || this.#undoing.has(task.id)) continue
        if (whyNotRun(task, kind, task.attempts)) undone.push(this.#takeToUndo(task.id, kind))
        else await queue.offer(task.id)
      }
      await Promise.all([...undone, this.#prune()])
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { queue, drainMs = 10_000, stopMs = 5_000 } = this.#options
    this.#isClosing = true
    this.#cancelSweep()
    await queue.rest()
    await this.#allDone(drainMs)
    const ending = new Failure('INTERRUPTED', 'the server is ending')
    for (const lease of this.#working.keys()) lease.stop(ending)
    await this.#allDone(stopMs)
    // What does not listen is left behind: whatever it does without its lease, it changes no record any more.
    await Promise.all([...this.#working.keys()].map((lease) => this.#giveBack(lease)))
  }

  async #prune(): Promise<void> {
    if (this.#timers.now() - this.#prunedAt < PRUNE_MS) return
    this.#prunedAt = this.#timers.now()
    await this.#options.ledger.prune()
  }

  async #takeToUndo(taskId: string, kind: TaskKind): Promise<void> {
    this.#undoing.add(taskId)
    try {
      await this.#undo(async () => {
        if (!this.#isClosing) await this.#watch(taskId, () => this.#take(taskId, kind))
      })
    } finally {
      this.#undoing.delete(taskId)
    }
  }

  async #take(taskId: string, kind: TaskKind): Promise<void> {
    if (this.#isClosing) return
    const lease = await this.#options.ledger.claim(taskId)
    if (lease) await this.#track(lease, this.#work(lease, kind))
  }

  async #work(claimed: Lease, kind: TaskKind): Promise<void> {
    await using lease = claimed
    const why = whyNotRun(lease.task, kind, lease.task.attempts - 1)
    const error = why ?? (await this.#run(lease, kind))
    if (!error) return
    const { id, type } = lease.task
    const reason: Error = lease.signal.aborted ? lease.signal.reason : error
    if (isFailure(reason, 'LEASE_LOST') || isFailure(error, 'LEASE_LOST')) {
      this.#context.log.warn('task.lost', { id, type })
    } else if (isFailure(reason, 'INTERRUPTED') && kind.resumes) {
      await this.#giveBack(lease)
    } else if (!why && kind.resumes && isPassing(reason, kind)) {
      this.#context.log.warn('task.rests', { id, type, error: reason.message })
    } else if (lease.task.failing === null) {
      this.#logFailure(lease.task, reason)
      const failing = await lease.giveUp(reason)
      await this.#track(failing, this.#runUndo(failing, kind, reason))
    } else await this.#runUndo(lease, kind, reason)
  }

  /** What it threw, if it did. */
  async #run(lease: Lease, kind: TaskKind): Promise<Error | undefined> {
    try {
      lease.signal.throwIfAborted()
      await kind.run(lease)
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
    const { status, type } = lease.task
    const hasEnded = status === 'success' || status === 'failure'
    return hasEnded ? undefined : new Error(`the work of a task of type ${type} did not end it`)
  }

  async #runUndo(failing: Lease, kind: TaskKind, reason: Error): Promise<void> {
    await using lease = failing
    await kind.undo(lease.task, reason, lease)
    if (lease.task.status === 'processing') await lease.finish(outcomeOf(reason))
  }

  async #giveBack(lease: Lease): Promise<void> {
    await this.#watch(lease.task.id, async () => {
      await lease.giveBack()
      await this.#options.queue.offer(lease.task.id)
    })
  }

  async #track(lease: Lease, work: Promise<void>): Promise<void> {
    this.#working.set(lease, work)
    try {
      await work
    } finally {
      this.#working.delete(lease)
    }
  }

  async #allDone(withinMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#timers.after(withinMs, resolve, { keepsAlive: true })
    await Promise.race([Promise.allSettled(this.#working.values()), late])
    cancel()
  }

  /** What fails here is tried again by a later sweep, of this server or another. */
  async #watch(taskId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#context.log.warn('task.put-off', { id: taskId, error: textOf(error) })
    }
  }

  #logFailure(task: Task, reason: Error): void {
    const { id, type, subject } = task
    if (reason instanceof Failure)
      this.#context.log.info('task.failed', { id, type, subject, error: reason.message })
    else this.#context.log.error('task.failed', { id, type, subject, error: textOf(reason) })
  }

  #kindOf({ type }: Task): TaskKind | undefined {
    const kind = this.#kinds.get(type)
    if (!kind && this.#options.isPartial !== true && !this.#unknown.has(type)) {
      this.#unknown.add(type)
      this.#context.log.warn('task.unknown', { type })
    }
    return kind
  }
}

/** Why a task that was begun `begun` times is to be undone rather than run. */
function whyNotRun(task: Task, kind: TaskKind, begun: number): Error | undefined {
  const { cancelled, failing } = task
  if (cancelled) return new Failure('TASK_CANCELLED', failing ?? 'the task was cancelled')
  if (failing !== null) return new Failure('TASK_FAILED', failing)
  if (begun > 0 && !kind.resumes)
    return new Failure('TASK_FAILED', 'its server ended before it was done')
  if (begun >= (kind.attempts ?? ATTEMPTS))
    return new Failure('TASK_FAILED', `given up after ${begun} attempts: none came to its end`)
  return undefined
}

function isPassing(error: Error, kind: TaskKind): boolean {
  if (kind.isPassing) return kind.isPassing(error)
  return OF_DATABASE.some((code) => isFailure(error, code))
}

/** For the log: of a bug, where it happened. */
function textOf(error: unknown): string {
  if (error instanceof Failure || !(error instanceof Error)) return messageOf(error)
  return error.stack ?? error.message
}
