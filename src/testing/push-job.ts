/** For tests of cloud targets: a job that writes down all that a push does with it. */
import { makeContext } from '../base/context.ts'
import type { Provider, PushedDisk, PushJob } from '../factory/cloud-target.ts'
import type { FactoryImage, JsonObject } from '../factory/factory-image.ts'
import type { ClearContext, Phase } from '../factory/os-builder.ts'
import { OWNERS_REACH } from '../factory/reach.ts'
import type { Json } from '../tasks/task.ts'
import { factoryImage } from './factory-image.ts'
import { templateOf } from './template-of.ts'
import { writtenHoldings } from './written-holdings.ts'

/** What a push did, as far as it came. */
export interface WrittenPush {
  /** Lines of the log. */
  readonly events: string[]
  /** Phases, in order. */
  readonly phases: Phase[]
  /** What was told of phases: percent of the whole. It never goes back. */
  readonly percents: number[]
  /** What is held now; and every thing that ever was, as it was last. */
  readonly held: Json[]
  readonly everHeld: Json[]
  readonly properties: Record<string, Json>
  readonly secrets: string[]
}

export interface TestPush<Options, ProviderOptions, Credentials> {
  readonly disk: PushedDisk
  readonly options: Options
  readonly provider: Provider<ProviderOptions, Credentials>
  readonly signal?: AbortSignal
  readonly workDir?: string
  /** More of the provider image's record. */
  readonly image?: Partial<FactoryImage>
}

/** A job for one push, and what will be written of it. */
export function pushJob<Options, ProviderOptions, Credentials>(
  push: TestPush<Options, ProviderOptions, Credentials>,
): { job: PushJob<Options, ProviderOptions, Credentials>; written: WrittenPush } {
  const { disk, options, provider, workDir = '/nonexistent' } = push
  const context = makeContext(push.signal === undefined ? {} : { signal: push.signal })
  const written: WrittenPush = {
    events: [],
    phases: [],
    percents: [],
    held: [],
    everHeld: [],
    properties: {},
    secrets: [],
  }
  const job: PushJob<Options, ProviderOptions, Credentials> = {
    image: factoryImage({ type: 'provider', provider: provider.name, ...push.image }),
    targetImage: factoryImage({ type: 'target', status: 'COMPLETE' }),
    template: templateOf(),
    provider,
    disk,
    options,
    workDir,
    cacheDir: workDir,
    attempt: 1,
    log: {
      event: (text) => void written.events.push(text),
      console: () => {},
      output: (text) => void written.events.push(text),
    },
    holdings: writtenHoldings(written.held, written.everHeld),
    reach: OWNERS_REACH,
    context,
    phase: async (phase, work) => {
      written.phases.push(phase)
      const tell = (fraction: number) =>
        void written.percents.push(phase.from + (phase.to - phase.from) * fraction)
      tell(0)
      const done = await work({ signal: context.signal, tell })
      tell(1)
      return done
    },
    setProperties: async (properties: JsonObject) =>
      void Object.assign(written.properties, properties),
    keepDocument: async () => {},
    addSecret: (secret) => void written.secrets.push(secret),
  }
  return { job, written }
}

/** What `clear` and `remove` are given. */
export function clearContext(): ClearContext {
  const buildLog = { event: () => {}, console: () => {}, output: () => {} }
  return { ...makeContext(), buildLog, imageId: factoryImage({}).id }
}
