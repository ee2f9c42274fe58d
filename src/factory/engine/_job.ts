/** A job as OS builders and cloud targets see it; see `os-builder.ts`. */
import type { Context, ProgressEvent } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import type { Log } from '../../base/log.ts'
import type { LeaseHoldings } from './_holdings.ts'
import type { Mask } from './_mask.ts'
import type { Recorder } from './_recorder.ts'
import { deadline, stopInTime } from './_stop-in-time.ts'
import type { BuildLog } from '../build-log.ts'
import type { CommonOptions } from '../common-options.ts'
import type { DocumentKind, FactoryImage, JsonObject } from '../factory-image.ts'
import type { Job, Phase, PhaseScene } from '../os-builder.ts'
import type { Reach } from '../reach.ts'
import type { Template } from '../template.ts'

export interface JobParts {
  readonly recorder: Recorder
  readonly mask: Mask
  readonly holdings: LeaseHoldings
  readonly template: Template
  readonly options: unknown
  readonly common: CommonOptions
  readonly workDir: string
  readonly cacheDir: string
  readonly attempt: number
  readonly reach: Reach
  /** `signal` ends the job. */
  readonly context: Context
}

/** A phase, for the timeline. */
interface Passed {
  readonly name: string
  readonly startedAt: string
  endedAt?: string
  ms?: number
  error?: string
}

/** All that is made is there only when the image is COMPLETE. */
const ALMOST = 99
const MAX_ACTIVITY = 500
/** Of phases; more of them say nothing more. */
const MAX_PASSED = 1000

export class StageJob implements Job {
  readonly template: Template
  readonly options: unknown
  readonly workDir: string
  readonly cacheDir: string
  readonly attempt: number
  readonly log: BuildLog
  readonly holdings: LeaseHoldings
  readonly reach: Reach
  readonly context: Context
  /** Kinds of documents that the job kept by itself. */
  readonly kept = new Set<DocumentKind>()
  readonly mask: Mask
  readonly #parts: JobParts
  readonly #passed: Passed[] = []

  constructor(parts: JobParts) {
    const { recorder, context } = parts
    this.#parts = parts
    this.mask = parts.mask
    this.template = parts.template
    this.options = parts.options
    this.workDir = parts.workDir
    this.cacheDir = parts.cacheDir
    this.attempt = parts.attempt
    this.log = recorder.log
    this.holdings = parts.holdings
    this.reach = parts.reach
    this.context = {
      ...context,
      log: maskedLog(context.log, parts.mask, recorder.row.id),
      progress: (event) => this.#hear(event),
    }
  }

  get image(): FactoryImage {
    return this.#parts.recorder.image
  }

  /** What was done when, as far as it has come. */
  get timeline(): string {
    return JSON.stringify({ phases: this.#passed }, null, 2)
  }

  async phase<T>(phase: Phase, work: (scene: PhaseScene) => Promise<T>): Promise<T> {
    const { name, from, to } = phase
    const { now, signal: ending } = this.context
    ending.throwIfAborted()
    const seconds = this.#parts.common.timeouts?.[name]
    const timeoutMs = seconds === undefined ? phase.timeoutMs : seconds * 1000
    using limit = deadline(timeoutMs, () => tooLong(name, timeoutMs ?? 0))
    const signal = AbortSignal.any([ending, limit.signal])
    const began = now()
    const passed: Passed = { name, startedAt: began.toISOString() }
    if (this.#passed.length < MAX_PASSED) this.#passed.push(passed)
    this.#advance(from, name)
    this.log.event(name)
    const tell = (fraction: number, activity?: string) =>
      this.#advance(from + (to - from) * Math.min(1, Math.max(0, fraction)), activity)
    try {
      const result = await stopInTime(work({ signal, tell }), signal)
      this.#advance(to)
      return result
    } catch (error) {
      passed.error = this.#parts.mask.apply(error instanceof Error ? error.message : String(error))
      throw error
    } finally {
      const ended = now()
      passed.endedAt = ended.toISOString()
      passed.ms = ended.getTime() - began.getTime()
    }
  }

  /** This job, and what else its part wants to know. */
  with<More extends object>(more: More): Job & More {
    const { template, options, workDir, cacheDir, attempt, log, holdings, reach, context } = this
    const image = () => this.image
    return {
      template,
      options,
      workDir,
      cacheDir,
      attempt,
      log,
      holdings,
      reach,
      context,
      get image() {
        return image()
      },
      phase: async (phase, work) => await this.phase(phase, work),
      setProperties: async (properties) => await this.setProperties(properties),
      keepDocument: async (kind, content) => await this.keepDocument(kind, content),
      addSecret: (secret) => this.addSecret(secret),
      ...more,
    }
  }

  async setProperties(properties: JsonObject): Promise<void> {
    this.#parts.recorder.setProperties(properties)
    await this.#parts.recorder.write()
  }

  async keepDocument(kind: DocumentKind, content: string | Uint8Array): Promise<void> {
    this.kept.add(kind)
    this.#parts.recorder.keepDocument(kind, content)
    await this.#parts.recorder.write()
  }

  addSecret(secret: string): void {
    this.#parts.mask.add(secret)
  }

  #advance(percent: number, activity?: string): void {
    const { recorder } = this.#parts
    const { row } = recorder
    const now = Math.max(row.percent, Math.min(ALMOST, Math.floor(percent) || 0))
    const said = activity?.slice(0, MAX_ACTIVITY)
    if (now === row.percent && (said === undefined || said === row.activity)) return
    recorder.set({ percent: now, ...(said !== undefined && { activity: said }) })
  }

  /** What rooms below tell of their work. */
  #hear(event: ProgressEvent): void {
    if (event.kind === 'output') this.log.output(`${event.line}\n`)
    else if (event.kind === 'phase')
      this.log.event(event.detail ? `${event.name}: ${event.detail}` : event.name)
    else if (event.kind === 'step') this.log.event(`step ${event.id}: ${event.title}`)
    else if (event.kind === 'step-end') this.log.event(`step ${event.id}: ${event.status}`)
    this.#parts.context.progress(event)
  }
}

function tooLong(name: string, ms: number): Failure {
  return new Failure('PHASE_TIMEOUT', `${name}: not done after ${ms / 1000} s`, {
    details: { phase: name, timeoutMs: ms },
    fix: `Set the parameter timeouts: { "${name}": SECONDS }, or see the log for what it waited for.`,
  })
}

/** The server's log, in which secrets do not stand either. */
function maskedLog(log: Log, mask: Mask, imageId: string): Log {
  const tell = (level: keyof Log) => (event: string, fields?: Record<string, unknown>) =>
    log[level](event, { imageId, ...maskFields(fields, mask) })
  return { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') }
}

function maskFields(fields: Record<string, unknown> | undefined, mask: Mask) {
  return Object.fromEntries(
    Object.entries(fields ?? {}).map(([name, value]) => {
      if (value instanceof Error) return [name, mask.apply(value.message)]
      return [name, typeof value === 'string' ? mask.apply(value) : value]
    }),
  )
}
