/** For contract suites of the factory's parts: a job that can be broken at each of its calls, and what was done with it. */
import { Failure } from '../base/failure.ts'
import type { FormattedDisk, PushedDisk } from '../factory/cloud-target.ts'
import type { Holding, Job, Phase } from '../factory/os-builder.ts'
import type { Json } from '../tasks/task.ts'
import { buildJob, type TestBuild } from './build-job.ts'

/**
 * How a job ends early. `cancel`: its signal is aborted, and nothing can be noted any more; `fail`: the call fails, as when
 * the database is away; `die`: the call never returns, as if the process had ended there.
 */
export const WAYS = ['cancel', 'fail', 'die'] as const
export interface Break {
  readonly way: (typeof WAYS)[number]
  /** At which call, counted from 0. */
  readonly at: number
}

/** What a part did with its job, as far as it came. */
export class Trace {
  /** Calls at which it can be broken, by name, in order. */
  readonly calls: string[] = []
  readonly phases: Phase[] = []
  /** Of the whole, as it was told. */
  readonly percents: number[] = []
  /** What people see: log and activities; they are masked. */
  readonly shown: string[] = []
  /** What is kept as it is: things, properties, documents. */
  readonly kept: string[] = []
  readonly secrets: string[] = []
  /** What its ledger holds now. */
  held: Json[] = []
  /** Phases that began while another went on. */
  readonly nested: string[] = []
  readonly died = Promise.withResolvers<'died'>()
  readonly controller = new AbortController()
  readonly #break: Break | undefined
  readonly #stuck = Promise.withResolvers<never>()

  constructor(broken: Break | undefined) {
    this.#break = broken
  }

  /** A call comes: here it may break. */
  async call(name: string): Promise<void> {
    const at = this.calls.push(name) - 1
    if (this.#break?.at !== at) return
    if (this.#break.way === 'fail') throw new Failure('LEASE_LOST', `broken at ${name}`)
    if (this.#break.way === 'cancel')
      return this.controller.abort(new Failure('TASK_CANCELLED', `cancelled at ${name}`))
    this.died.resolve('died')
    await this.#stuck.promise
  }

  /** Lets work that died fail after all, when all has been looked at: what it opened it closes then. */
  letGo(): void {
    this.#stuck.promise.catch(() => {}) // nobody may be waiting
    this.#stuck.reject(new Failure('LEASE_LOST', 'dead'))
  }

  /** As a ledger notes: not for work that was cancelled. */
  async note(name: string, thing: Json, change: () => void): Promise<void> {
    this.kept.push(JSON.stringify(thing))
    await this.call(name)
    this.controller.signal.throwIfAborted()
    change()
  }
}

/** Where a disk's reads count as calls: the first few. */
const READS = 3

/** A job whose calls are written into `trace`. */
export function breakableJob<Options>(trace: Trace, build: TestBuild<Options>): Job<Options> {
  const { job } = buildJob({ ...build, signal: trace.controller.signal })
  const show = (text: string | Uint8Array) => void trace.shown.push(Buffer.from(text).toString())
  let isOpen = false
  return {
    ...job,
    log: { event: show, console: show, output: show },
    holdings: holdingsOf(trace),
    phase: async (phase, work) => {
      if (isOpen) trace.nested.push(phase.name)
      isOpen = true
      trace.phases.push(phase)
      show(phase.name)
      const tell = (fraction: number, activity = '') => {
        trace.percents.push(phase.from + (phase.to - phase.from) * fraction)
        show(activity)
      }
      try {
        const { signal } = trace.controller
        await trace.call(`phase ${phase.name}`)
        signal.throwIfAborted()
        const result = await work({ signal, tell })
        await trace.call(`end of phase ${phase.name}`)
        signal.throwIfAborted()
        return result
      } finally {
        isOpen = false
      }
    },
    setProperties: async (properties) => {
      trace.kept.push(JSON.stringify(properties))
      await trace.call('setProperties')
    },
    keepDocument: async (kind, content) => {
      trace.kept.push(Buffer.from(content).toString())
      await trace.call(`keepDocument ${kind}`)
    },
    addSecret: (secret) => void trace.secrets.push(secret),
  }
}

/** The disk of a push, whose opening and first reads are calls. */
export function breakableDisk(trace: Trace, disk: PushedDisk): PushedDisk {
  let reads = 0
  const watched = (opened: FormattedDisk): FormattedDisk => ({
    name: opened.name,
    size: opened.size,
    mediaType: opened.mediaType,
    fileName: opened.fileName,
    extents: opened.extents,
    read: async (offset, length) => {
      if (reads++ < READS) await trace.call(`read of ${opened.fileName}`)
      return await opened.read(offset, length)
    },
    [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
  })
  return {
    size: disk.size,
    source: disk.source,
    map: disk.map,
    digest: async () => await disk.digest(),
    open: async (format) => {
      await trace.call(`opening of ${format}`)
      return watched(await disk.open(format))
    },
  }
}

function holdingsOf(trace: Trace): Job['holdings'] {
  const holdingOf = (held: { thing: Json }): Holding => ({
    update: async (thing) =>
      await trace.note('update', thing, () => {
        trace.held[trace.held.indexOf(held.thing)] = thing
        held.thing = thing
      }),
    drop: async () =>
      await trace.note('drop', held.thing, () => {
        trace.held = trace.held.filter((one) => one !== held.thing)
      }),
  })
  return {
    get all() {
      return [...trace.held]
    },
    find: (matches) => {
      const thing = trace.held.find(matches)
      return thing === undefined ? undefined : { thing, ...holdingOf({ thing }) }
    },
    add: async (thing) => {
      await trace.note('add', thing, () => void trace.held.push(thing))
      return holdingOf({ thing })
    },
  }
}
