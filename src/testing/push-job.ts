/** For tests of cloud targets: a job that writes down all that a push does with it. */
import { makeContext } from '../base/context.ts'
import type { Provider, PushedDisk, PushJob } from '../factory/cloud-target.ts'
import type { FactoryImage, JsonObject } from '../factory/factory-image.ts'
import type { ClearContext, Phase } from '../factory/os-builder.ts'
import { OWNERS_REACH } from '../factory/reach.ts'
import type { Template } from '../factory/template.ts'
import type { Json } from '../tasks/task.ts'

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
    template: EMPTY_TEMPLATE,
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
    holdings: holdingsOf(written),
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

/** A record with something in every field. */
export function factoryImage(more: Partial<FactoryImage>): FactoryImage {
  const at = new Date('2026-01-31T12:00:00Z')
  return {
    id: '5c0a2a7e-6f0c-4b7b-9d4b-3f1f1e1d2c3b',
    type: 'provider',
    status: 'BUILDING',
    activity: '',
    error: null,
    percent: 0,
    parentId: null,
    name: 'debian-12',
    template: null,
    parameters: {},
    properties: {},
    builder: null,
    target: null,
    provider: null,
    identifierOnProvider: null,
    providerAccount: null,
    bodyId: null,
    owner: null,
    userId: null,
    attempts: 1,
    createdAt: at,
    updatedAt: at,
    startedAt: at,
    endedAt: null,
    ...more,
  }
}

function holdingsOf({ held, everHeld }: WrittenPush): PushJob['holdings'] {
  return {
    get all() {
      return [...held]
    },
    find: () => undefined,
    add: async (thing) => {
      let now = thing
      const place = everHeld.push(now) - 1
      held.push(now)
      return {
        update: async (next) => {
          held[held.indexOf(now)] = next
          everHeld[place] = now = next
        },
        drop: async () => {
          const at = held.indexOf(now)
          if (at >= 0) held.splice(at, 1)
        },
      }
    },
  }
}

const EMPTY_TEMPLATE: Template = {
  kind: 'recipe',
  text: '{}',
  name: 'debian-12',
  description: '',
  os: { name: 'Debian', version: '12', arch: 'x86_64' },
  install: undefined,
  recipe: {
    file: 'recipe.yaml',
    resourceRoots: [],
    name: 'debian-12',
    description: '',
    args: [],
    steps: [],
    tests: [],
    base: undefined,
    disk: undefined,
    clean: undefined,
    warnings: [],
    digest: '',
  },
  icicleCommand: null,
  secrets: [],
}
