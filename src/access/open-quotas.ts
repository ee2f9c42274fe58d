/** Limits of projects: from the configuration, or from Keystone. */
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { Recent } from '../bytes/recent.ts'
import type { Keystone } from '../clouds/cloud.ts'
import { openKeystone } from '../clouds/keystone.ts'
import { didYouMean } from '../schema/find-faults.ts'
import { type KeystoneSettings, toKeystoneOptions } from './keystone-settings.ts'
import { type Limits, QUOTA_NAMES, type QuotaName, type Quotas } from './quotas.ts'

/** Where limits come from. */
export interface QuotaOptions {
  /** As in the configuration, under `quotas`. */
  readonly quotas: {
    readonly default: Readonly<Record<string, number>>
    readonly projects: Readonly<Record<string, Readonly<Record<string, number>>>>
  }
  /** As in the configuration, under `auth.keystone`: with `limits`, they come from there, and `quotas` is not asked. */
  readonly keystone?: KeystoneSettings | undefined
}

/** Closing it closes the client of Keystone, if there is one. Fails with CONFIG_INVALID. */
export function openQuotas(
  { quotas, keystone }: QuotaOptions,
  context: Pick<Context, 'now' | 'signal'>,
): Quotas & AsyncDisposable {
  if (keystone?.limits === true) {
    const client = openKeystone(toKeystoneOptions(keystone, 'system'), context)
    return openKeystoneQuotas(client, keystone, context)
  }
  checkNames(quotas)
  const active = Object.keys({ ...quotas.default, ...quotas.projects }).length > 0
  return {
    active,
    limits: async (project) => ({
      ...quotas.default,
      ...(project !== null && Object.hasOwn(quotas.projects, project) && quotas.projects[project]),
    }),
    check: checkQuota,
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Limits that Keystone keeps for the service `image`. Exported for tests. */
export function openKeystoneQuotas(
  keystone: Keystone,
  { region, cache_s = 300 }: Pick<KeystoneSettings, 'region' | 'cache_s'>,
  { now }: Pick<Context, 'now'>,
): Quotas & AsyncDisposable {
  const known = new KeptLimits(
    async (project) =>
      pickLimits(await keystone.limits({ service: 'image', projectId: project, region })),
    cache_s * 1000,
    now,
  )
  return {
    active: true,
    limits: async (project) => (project === null ? {} : await known.of(project)),
    check: checkQuota,
    [Symbol.asyncDispose]: () => keystone[Symbol.asyncDispose](),
  }
}

function pickLimits(limits: ReadonlyMap<string, number>): Limits {
  const pairs = QUOTA_NAMES.map((name) => [name, limits.get(name)] as const)
  return Object.fromEntries(pairs.filter(([, limit]) => limit !== undefined))
}

/** Limits change rarely, and are asked with every upload. */
const FRESH_MS = 10_000
const MAX_PROJECTS = 5000

/** The limits of projects, as they were a moment ago; while Keystone is away, as they were last. */
class KeptLimits {
  readonly #ask: (project: string) => Promise<Limits>
  readonly #keepMs: number
  readonly #now: () => Date
  readonly #kept = new Recent<string, { limits: Limits; since: number }>(MAX_PROJECTS)
  readonly #asking = new Map<string, Promise<Limits>>()

  constructor(ask: (project: string) => Promise<Limits>, keepMs: number, now: () => Date) {
    this.#ask = ask
    this.#keepMs = keepMs
    this.#now = now
  }

  async of(project: string): Promise<Limits> {
    const kept = this.#kept.get(project)
    const age = kept === undefined ? Infinity : this.#now().getTime() - kept.since
    if (kept !== undefined && age < FRESH_MS) return kept.limits
    try {
      return await this.#renew(project)
    } catch (error) {
      if (kept !== undefined && age < this.#keepMs && isFailure(error, 'KEYSTONE_AWAY'))
        return kept.limits
      throw error
    }
  }

  async #renew(project: string): Promise<Limits> {
    let asking = this.#asking.get(project)
    if (asking === undefined) {
      asking = this.#ask(project).finally(() => this.#asking.delete(project))
      this.#asking.set(project, asking)
    }
    const limits = await asking
    this.#kept.set(project, { limits, since: this.#now().getTime() }, 1)
    return limits
  }
}

function checkQuota(limits: Limits, name: QuotaName, used: number, adds: number): void {
  const limit = limits[name]
  if (limit === undefined || limit < 0 || used + adds <= limit) return
  throw new Failure(
    'QUOTA_EXCEEDED',
    `the project is over its limit: ${name} may be ${limit}, is ${used}, and would be ${used + adds}`,
    { details: { resource: name, limit, used, adds } },
  )
}

function checkNames(quotas: QuotaOptions['quotas']): void {
  const known: readonly string[] = QUOTA_NAMES
  const places = [['default', quotas.default] as const, ...Object.entries(quotas.projects)]
  const faults = places.flatMap(([place, limits]) =>
    Object.keys(limits)
      .filter((name) => !known.includes(name))
      .map((name) => `quotas of ${place}: nothing is called '${name}'${didYouMean(name, known)}`),
  )
  if (faults.length > 0)
    throw new Failure('CONFIG_INVALID', faults.join('; '), { details: { faults } })
}
