/** What callers may do: the default rules, and those of the operator's file in their place, compiled once. */
import { readFile } from 'node:fs/promises'
import { asFileFailure, Failure } from '../base/failure.ts'
import { didYouMean } from '../schema/find-faults.ts'
import { type Ask, compileRule } from './_compile-rule.ts'
import { type Check, parseLegacyRule, parseRule, RuleFault } from './_rule-language.ts'
import type { Caller, Policy, Target } from './caller.ts'
import { BUILDING_BLOCKS, DEFAULT_RULES } from './default-rules.ts'
import { type ProtectionOptions, readProtectionRules } from './open-protections.ts'

export interface PolicyOptions {
  /** YAML or JSON: a mapping of rules, in oslo.policy's language. */
  readonly file?: string | undefined
  /** Property protections may ask rules of the file too. */
  readonly protections?: ProtectionOptions | undefined
}

/** As a file gives it: text, or the old lists. */
export type GivenRules = Readonly<Record<string, unknown>>

/**
 * Reads the policy. Every fault of the file is said at once, each with its rule.
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export async function openPolicy(options: PolicyOptions = {}): Promise<Policy> {
  const { file, protections = {} } = options
  if (file === undefined) return makePolicy()
  return makePolicy(await readRules(file), file, await readProtectionRules(protections))
}

/**
 * The default rules, with `given` in place of those of the same names. `alsoAsked` are rules that are asked by
 * others than the service itself. Fails with CONFIG_INVALID.
 */
export function makePolicy(
  given: GivenRules = {},
  origin = 'the policy',
  alsoAsked: readonly string[] = [],
): Policy {
  const rules = new Map(DEFAULT_RULES.map(({ name, check }) => [name as string, check as unknown]))
  for (const [name, rule] of Object.entries(given)) rules.set(name, rule)
  const asks = new RuleSet(rules, origin).compile(Object.keys(given), alsoAsked)
  const admin = asks.get('context_is_admin')
  if (admin === undefined) throw new Error('there is no rule context_is_admin')
  return {
    rules: new Map([...rules].map(([name, rule]) => [name, textOf(rule)])),
    allows: (rule: string, caller: Caller, target: Target = NO_TARGET): boolean => {
      const ask = asks.get(rule)
      if (ask === undefined) throw new Error(`there is no rule ${rule}`)
      return ask(caller, target) && (isForProject(caller) || BUILDING_BLOCKS.has(rule))
    },
  }
}

/** Source: the scope types of Glance's rules, which it enforces. */
function isForProject({ isSystemScoped, domainId }: Caller): boolean {
  return isSystemScoped !== true && (domainId === undefined || domainId === null)
}

const NO_TARGET: Target = {}

async function readRules(file: string): Promise<GivenRules> {
  const { parseDocument } = await import('yaml')
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw asFileFailure(error, file)
  })
  const document = parseDocument(text, { logLevel: 'error' })
  const [error] = document.errors
  if (error !== undefined)
    throw new Failure('CONFIG_INVALID', `${file} is not YAML: ${error.message.split('\n')[0]}`)
  const value: unknown = document.toJS({ maxAliasCount: 100 }) ?? {}
  if (typeof value !== 'object' || Array.isArray(value))
    throw new Failure('CONFIG_INVALID', `${file}: wanted a mapping of rules`)
  return value as GivenRules
}

const nobody: Ask = () => false

/** Rules on their way from text to functions. */
class RuleSet {
  readonly #rules: ReadonlyMap<string, unknown>
  readonly #origin: string
  readonly #trees = new Map<string, Check>()
  readonly #asks = new Map<string, Ask>()
  /** Names that are being compiled, the outermost first. */
  readonly #open: string[] = []
  readonly #faults: string[] = []

  constructor(rules: ReadonlyMap<string, unknown>, origin: string) {
    this.#rules = rules
    this.#origin = origin
  }

  compile(given: readonly string[], alsoAsked: readonly string[]): ReadonlyMap<string, Ask> {
    for (const [name, rule] of this.#rules) this.#attempt(name, () => this.#parse(name, rule))
    this.#findStrangers(given, alsoAsked)
    for (const name of this.#trees.keys()) this.#ask(name, 0)
    if (this.#faults.length > 0)
      throw new Failure('CONFIG_INVALID', `${this.#origin}: ${this.#faults.join('; ')}`, {
        details: { faults: this.#faults },
      })
    return this.#asks
  }

  #attempt(name: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof RuleFault)) throw error
      this.#faults.push(`rule ${name}, character ${error.offset + 1}: ${error.message}`)
    }
  }

  #parse(name: string, rule: unknown): void {
    if (typeof rule === 'string') this.#trees.set(name, parseRule(rule))
    else if (Array.isArray(rule)) this.#trees.set(name, parseLegacyRule(rule))
    else throw new RuleFault(0, 'wanted a text or a list')
  }

  /** A rule of the file that neither the service nor another rule asks is most likely misspelt. */
  #findStrangers(given: readonly string[], alsoAsked: readonly string[]): void {
    const known = DEFAULT_RULES.map(({ name }) => name as string)
    const asked = new Set([...alsoAsked, ...[...this.#trees.values()].flatMap(rulesIn)])
    for (const name of given)
      if (!known.includes(name) && !asked.has(name))
        this.#faults.push(`rule ${name}: nothing asks it${didYouMean(name, known)}`)
  }

  /** `at`: where it is asked for. Throws RuleFault for that place; faults of the rule itself are noted. */
  #ask(name: string, at: number): Ask {
    const ready = this.#asks.get(name)
    if (ready !== undefined) return ready
    if (!this.#rules.has(name))
      throw new RuleFault(
        at,
        `there is no rule ${name}${didYouMean(name, [...this.#rules.keys()])}`,
      )
    if (this.#open.includes(name))
      throw new RuleFault(at, `it asks itself: ${[...this.#open, name].join(' -> ')}`)
    this.#open.push(name)
    let ask = nobody
    const tree = this.#trees.get(name)
    this.#attempt(name, () => {
      if (tree !== undefined) ask = compileRule(tree, (other, place) => this.#ask(other, place))
    })
    this.#open.pop()
    this.#asks.set(name, ask)
    return ask
  }
}

function rulesIn(check: Check): string[] {
  if (check.kind === 'rule') return [check.name]
  if (check.kind === 'not') return rulesIn(check.check)
  return check.kind === 'and' || check.kind === 'or' ? check.checks.flatMap(rulesIn) : []
}

function textOf(rule: unknown): string {
  return typeof rule === 'string' ? rule : JSON.stringify(rule)
}
