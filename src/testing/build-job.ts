/** For tests of OS builders: a job whose phases end in time, and that writes down all that a build does with it. */
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { DocumentKind, FactoryImage } from '../factory/factory-image.ts'
import type { Job, Phase } from '../factory/os-builder.ts'
import { OWNERS_REACH } from '../factory/reach.ts'
import type { Template } from '../factory/template.ts'
import type { Json } from '../tasks/task.ts'
import { factoryImage } from './factory-image.ts'
import { templateOf } from './template-of.ts'
import { writtenHoldings } from './written-holdings.ts'

/** What a build did, as far as it came. */
export interface WrittenBuild {
  readonly events: string[]
  console: string
  output: string
  readonly phases: string[]
  /** Percent of the whole, as it was told. */
  readonly percents: number[]
  /** What is held now; and what became of holdings, in order: `note server`, `make server`, `drop server`. */
  readonly held: Json[]
  readonly properties: Record<string, Json>
  readonly documents: Map<DocumentKind, string>
  readonly secrets: string[]
}

export interface TestBuild<Options> {
  readonly options: Options
  readonly workDir: string
  /** Default: `workDir`. */
  readonly cacheDir?: string
  readonly template?: Template
  readonly signal?: AbortSignal
  readonly image?: Partial<FactoryImage>
  /** What an earlier attempt left. */
  readonly held?: readonly Json[]
  /** Called when something is noted, before the note stands; may throw. */
  readonly onNote?: (thing: Json, written: WrittenBuild) => void
}

export function buildJob<Options>(build: TestBuild<Options>): {
  job: Job<Options>
  written: WrittenBuild
} {
  const { workDir, options, onNote } = build
  const context = makeContext(build.signal === undefined ? {} : { signal: build.signal })
  const written: WrittenBuild = {
    events: [],
    console: '',
    output: '',
    phases: [],
    percents: [],
    held: [...(build.held ?? [])],
    properties: {},
    documents: new Map(),
    secrets: [],
  }
  const { held } = written
  const job: Job<Options> = {
    image: factoryImage({ type: 'base', status: 'BUILDING', ...build.image }),
    template: build.template ?? templateOf(),
    options,
    workDir,
    cacheDir: build.cacheDir ?? workDir,
    attempt: 1,
    log: {
      event: (text) => void written.events.push(text),
      console: (piece) => void (written.console += Buffer.from(piece as string).toString()),
      output: (piece) => void (written.output += piece),
    },
    holdings: writtenHoldings(held, [], onNote && ((thing) => onNote(thing, written))),
    reach: OWNERS_REACH,
    context,
    phase: async (phase, work) => {
      written.phases.push(phase.name)
      const { from, to } = phase
      const tell = (part: number) => void written.percents.push(from + (to - from) * part)
      return await inTime(phase, context.signal, async (signal) => await work({ signal, tell }))
    },
    setProperties: async (properties) => void Object.assign(written.properties, properties),
    keepDocument: async (kind, content) =>
      void written.documents.set(kind, Buffer.from(content as string).toString()),
    addSecret: (secret) => void written.secrets.push(secret),
  }
  return { job, written }
}

/** As the engine does: a phase that takes too long fails with PHASE_TIMEOUT, whatever its work throws. */
async function inTime<Value>(
  { name, timeoutMs }: Phase,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const over = new AbortController()
  const late = new Failure('PHASE_TIMEOUT', `${name}: took more than ${timeoutMs} ms`)
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => over.abort(late), timeoutMs)
  const signal = AbortSignal.any([outer, over.signal])
  try {
    return await work(signal)
  } catch (error) {
    throw over.signal.aborted ? late : error
  } finally {
    clearTimeout(timer)
  }
}
