/**
 * Inspection: the first look at an image that nobody vouches for, and the only one that may be taken
 * without knowing what it is. Our own parsers read it, in a thread with bounded memory and time; every
 * table is checked; nothing but the file itself is opened, whatever it names. The answer is data: what
 * the content is, and what was found. `ingot inspect` and every upload stand on this; content that is on
 * its way to somewhere else goes through `create-inspector.ts`.
 */
import { tmpdir } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Context } from '../base/context.ts'
import { Failure, type FailureCode, isFailure, messageOf, systemCode } from '../base/failure.ts'
import { GiB, MiB, TiB } from '../base/units.ts'
import { parseClaim } from './_claim.ts'
import { FindingList } from './_findings.ts'
import type { Job, Outcome } from './_inspection-job.ts'
import { type Finding, type FindingCode, FINDINGS } from './finding.ts'
import type { Limits } from './parser.ts'
import type { PartitionTable } from './partitions.ts'

export { CLAIMS } from './_claim.ts'

/** What an inspection tells. */
export interface Inspection {
  /** What it was said to be; undefined when nobody said. */
  readonly claim: string | undefined
  /** What it is: `qcow2`, `raw.gz`, `ova`; also of formats that are recognised and refused (`qed`). */
  readonly format: string
  /** Bytes of the file. */
  readonly size: number
  /** Bytes the guest sees, when that could be told. */
  readonly virtualSize: number | undefined
  /** What the guest's disk is divided into, when its table makes sense. */
  readonly partitions: PartitionTable | undefined
  /** At most 100, in the order in which they were found. */
  readonly findings: readonly Finding[]
  /** Whether it may be opened: nothing found is a reason to refuse it. */
  readonly safe: boolean
}

export interface InspectOptions {
  /** What the content is said to be, one of CLAIMS; then it is refused when it is anything else. */
  readonly claim?: string | undefined
  /** What is left out is as in INSPECTION_LIMITS. */
  readonly limits?: Partial<Limits> | undefined
  /** Where content is put aside that a stream brings before its tables. Default: the system's. */
  readonly spoolDirectory?: string | undefined
}

/** How far an inspection goes unless told otherwise. */
const INSPECTION_LIMITS: Limits = {
  virtualSize: 64 * TiB,
  unpackedSize: 1 * TiB,
  timeMs: 300_000,
}

/** What a stream may make us put aside on disk. */
const SPOOL_LIMIT = 16 * GiB
/** Heap of the thread. Tables are read in parts, so this is much. */
const HEAP_MIB = 192
const YOUNG_MIB = 16
/** How much later than its own clock a thread is ended from outside. */
const GRACE_MS = 2_000

/** What one inspection goes by. Fails with FORMAT_UNKNOWN. */
export function makeJob(
  { claim, limits, spoolDirectory }: InspectOptions,
  { now, newId }: Pick<Context, 'now' | 'newId'>,
): Job {
  const all = { ...INSPECTION_LIMITS, ...limits }
  return {
    claim: claim === undefined ? undefined : parseClaim(claim),
    limits: all,
    findings: new FindingList(),
    spool: { directory: spoolDirectory ?? tmpdir(), limit: SPOOL_LIMIT, newId },
    now,
    deadline: now().getTime() + all.timeMs,
  }
}

/** The answer, from what a job has found. */
export function toInspection(outcome: Outcome, { claim, findings }: Job, size: number): Inspection {
  return {
    claim: claim?.text,
    format: outcome.format,
    size,
    virtualSize: outcome.virtualSize,
    partitions: outcome.partitions,
    findings: findings.all,
    safe: !findings.refused,
  }
}

/**
 * Inspects a file, in a thread of its own. Fails with FORMAT_UNKNOWN, FILE_NOT_FOUND, FILE_UNREADABLE,
 * NO_SPACE, TOOL_MISSING (xz or bzip2), INTERRUPTED; whatever the content does is a finding.
 */
export async function inspectImage(
  path: string,
  options: InspectOptions,
  context: Context,
): Promise<Inspection> {
  await using thread = new InspectionThread()
  return await thread.inspectImage(path, options, context)
}

/**
 * As `inspectImage`, for content that cannot be read twice: a pipe, a download. Not all of it is read
 * when the verdict is clear before its end.
 */
export async function inspectStream(
  chunks: AsyncIterable<Uint8Array>,
  options: InspectOptions,
  context: Context,
): Promise<Inspection> {
  await using thread = new InspectionThread()
  return await thread.inspectStream(chunks, options, context)
}

/** What the thread is told; the content of a stream follows in blocks, and null behind the last. */
export interface ThreadOrder {
  /** The file; undefined when its content comes in blocks, each of which is answered by `next`. */
  readonly path: string | undefined
  readonly options: InspectOptions
}
export type ThreadAnswer =
  | { readonly kind: 'next'; readonly decided: boolean; readonly block: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'inspection'; readonly inspection: Inspection }
  | {
      readonly kind: 'failure'
      readonly code: FailureCode
      readonly message: string
      readonly details: Record<string, unknown>
    }

/** Gives the thread what it needs beside its order. */
type Feed = (
  worker: Worker,
  /** Whether the verdict is clear after the block that was sent last, which goes back to `free`. */
  answered: (free: Uint8Array<ArrayBuffer>[]) => Promise<boolean>,
) => Promise<void>

/**
 * A thread for many inspections, one after the other, since starting one takes longer than most of
 * them. It is started when it is needed, and ended whenever it does not answer as it should.
 */
export class InspectionThread implements AsyncDisposable {
  #worker: Worker | undefined

  /** As the function of this name. */
  async inspectImage(path: string, options: InspectOptions, context: Context): Promise<Inspection> {
    return await this.#carryOut({ path, options }, context, async () => {})
  }

  /** As the function of this name. */
  async inspectStream(
    chunks: AsyncIterable<Uint8Array>,
    options: InspectOptions,
    context: Context,
  ): Promise<Inspection> {
    return await this.#carryOut({ path: undefined, options }, context, async (worker, answered) => {
      const free: Uint8Array<ArrayBuffer>[] = []
      let isDecided: Promise<boolean> = Promise.resolve(false)
      for await (const block of inBlocks(chunks, free)) {
        if (await isDecided) break
        isDecided = answered(free)
        worker.postMessage(block, [block.buffer])
      }
      await isDecided
      worker.postMessage(null)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  async #carryOut(order: ThreadOrder, context: Context, feed: Feed): Promise<Inspection> {
    if (order.options.claim !== undefined) parseClaim(order.options.claim)
    const { signal } = context
    if (signal.aborted) throw new Failure('INTERRUPTED', 'the inspection was interrupted')
    const worker = (this.#worker ??= startWorker())
    const limitMs = order.options.limits?.timeMs ?? INSPECTION_LIMITS.timeMs
    let next = Promise.withResolvers<boolean>()
    let free: Uint8Array<ArrayBuffer>[] = []
    const answered = async (blocks: typeof free) => {
      free = blocks
      next = Promise.withResolvers<boolean>()
      return await next.promise
    }
    const { promise, resolve, reject } = Promise.withResolvers<ThreadAnswer>()
    const giveUp = (code: FindingCode, found: string) => {
      resolve({ kind: 'inspection', inspection: refusal(order, code, found) })
      void this[Symbol.asyncDispose]()
    }
    const onMessage = (answer: ThreadAnswer) => {
      if (answer.kind !== 'next') return resolve(answer)
      free.push(answer.block)
      next.resolve(answer.decided)
    }
    const onError = (error: unknown) => {
      context.log.error('inspection.failed', { path: order.path, error: messageOf(error) })
      const isMemory = systemCode(error) === 'ERR_WORKER_OUT_OF_MEMORY'
      if (isMemory) giveUp('LIMIT_REACHED', `more than ${HEAP_MIB} MiB of memory`)
      else giveUp('INSPECTION_FAILED', messageOf(error))
    }
    const onExit = () => giveUp('INSPECTION_FAILED', 'the thread ended without an answer')
    const onAbort = () => reject(new Failure('INTERRUPTED', 'the inspection was interrupted'))
    const late = () => giveUp('LIMIT_REACHED', `more than ${limitMs} ms of work`)
    const timer = setTimeout(late, limitMs + GRACE_MS)
    signal.addEventListener('abort', onAbort, { once: true })
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    try {
      worker.postMessage(order)
      feed(worker, answered).catch(reject)
      return inspectionOf(await promise)
    } catch (error) {
      const isAnswer = isFailure(error) && order.path !== undefined && !signal.aborted
      if (!isAnswer) await this[Symbol.asyncDispose]() // it may be in the middle of something
      throw error
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
      next.resolve(true)
    }
  }
}

function inspectionOf(answer: ThreadAnswer): Inspection {
  if (answer.kind === 'inspection') return answer.inspection
  if (answer.kind === 'next') throw new Error('the thread answered out of turn')
  throw new Failure(answer.code, answer.message, { details: answer.details })
}

function startWorker(): Worker {
  const file = new URL(`./_inspect-thread${extname(import.meta.filename)}`, import.meta.url)
  const worker = new Worker(file, {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB, maxYoungGenerationSizeMb: YOUNG_MIB },
  })
  worker.on('error', () => {}) // told by who waits for an answer
  return worker
}

/** The same bytes in blocks of 1 MiB, of those that are `free` or new ones; each has its memory for itself. */
async function* inBlocks(
  chunks: AsyncIterable<Uint8Array>,
  free: Uint8Array<ArrayBuffer>[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let block: Uint8Array<ArrayBuffer> | undefined
  let filled = 0
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length;) {
      block ??= free.pop() ?? new Uint8Array(MiB)
      const part = chunk.subarray(at, at + MiB - filled)
      block.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < MiB) continue
      yield block
      block = undefined
      filled = 0
    }
  if (block && filled > 0) yield block.slice(0, filled)
}

/** The answer when the thread gives none. */
function refusal({ options }: ThreadOrder, code: FindingCode, found: string): Inspection {
  return {
    claim: options.claim,
    format: options.claim ?? 'unknown',
    size: 0,
    virtualSize: undefined,
    partitions: undefined,
    findings: [{ code, severity: FINDINGS[code].severity, found }],
    safe: false,
  }
}
