import { messageOf } from '../base/failure.ts'
import { didYouMean, type Path } from '../schema/find-faults.ts'
import { isMapping, kindOf, type RecipeSource } from './_recipe-source.ts'
import { RESERVED_ARGUMENTS } from './argument-values.ts'
import { type Condition, parseCondition } from './condition.ts'
import type { ParseOptions } from './parse-recipe.ts'
import type { Argument, Step } from './recipe.ts'
import { stepSchema } from './recipe-schema.ts'
import { isTemplate, parseTemplate } from './template.ts'
import type { Loading, Validator } from './validator.ts'

const STEP_KEYS = Object.keys(stepSchema.properties)

/** Makes steps of a recipe's lists, and keeps in mind which arguments they look at and make. */
export class StepParser {
  readonly #source: RecipeSource
  readonly #options: Pick<ParseOptions, 'validators' | 'readResource'>
  readonly #arguments: ReadonlyMap<string, Argument>
  readonly #uses: { name: string; path: Path }[] = []
  /** Arguments that the run itself may make. */
  readonly #made = new Set<string>(['distro'])

  constructor(
    source: RecipeSource,
    options: Pick<ParseOptions, 'validators' | 'readResource'>,
    args: ReadonlyMap<string, Argument>,
  ) {
    this.#source = source
    this.#options = options
    this.#arguments = args
  }

  /** The steps of one list; those that are wrong are said and left out. */
  parse(value: unknown, path: Path): readonly Step[] {
    if (Array.isArray(value))
      return value.flatMap((item, index) => this.#parseStep(item, [...path, index]) ?? [])
    this.#source.fault(
      path,
      `wanted a list of steps, found ${kindOf(value)}${isMapping(value) ? '; put a dash before each step' : ''}`,
    )
    return []
  }

  /** Warns of arguments that are looked at but never given, and the other way round. */
  compareUses(): void {
    const declared = [...this.#arguments.values()]
    const known = new Set([
      ...declared.flatMap(({ name, variable }) => [name, variable]),
      ...this.#made,
    ])
    for (const { name, path } of this.#uses)
      if (!known.has(name))
        this.#source.warn(
          path,
          `no argument '${name}' is declared or set${didYouMean(name, [...known])}`,
        )
    const used = new Set(this.#uses.map(({ name }) => name))
    for (const { name, variable } of declared)
      if (!used.has(name) && !used.has(variable))
        this.#source.warn(['arguments', name], `no step looks at '${name}'`, true)
  }

  #parseStep(item: unknown, path: Path): Step | undefined {
    const source = this.#source
    const validator = this.#findValidator(item, path)
    if (!isMapping(item)) return undefined
    const common = source.shaped<{ name?: string; when?: string; on?: 'image' | 'host' }>(
      stepSchema,
      Object.fromEntries(Object.entries(item).filter(([key]) => STEP_KEYS.includes(key))),
      path,
    )
    const when =
      common?.when === undefined ? undefined : this.#parseCondition(common.when, [...path, 'when'])
    if (!validator) return undefined
    const specPath = [...path, validator.name]
    const options = this.#load(validator, item[validator.name], specPath)
    if (options === undefined) return undefined
    return {
      id: toId(path),
      validator,
      options: options.loaded,
      title: common?.name ?? validator.title(options.loaded),
      when,
      on: common?.on,
      place: source.placeOf(specPath, true),
    }
  }

  /** The one validator that a step names. */
  #findValidator(item: unknown, path: Path): Validator | undefined {
    const { validators } = this.#options
    const source = this.#source
    const names = [...validators.keys()]
    if (!isMapping(item)) {
      source.fault(
        path,
        `wanted a mapping with one validator, such as \`package: nginx\`, found ${kindOf(item)}`,
      )
      return undefined
    }
    const keys = Object.keys(item).filter((key) => !STEP_KEYS.includes(key))
    const known = keys.filter((key) => validators.has(key))
    for (const key of keys)
      if (!validators.has(key))
        source.fault(
          [...path, key],
          known.length > 0
            ? `unknown key '${key}'${didYouMean(key, STEP_KEYS) || `; beside its validator a step may have ${STEP_KEYS.join(', ')}`}`
            : `unknown validator '${key}'${didYouMean(key, [...names, ...STEP_KEYS]) || `; there are ${names.join(', ')}`}`,
          true,
        )
    if (keys.length === 0)
      source.fault(path, `the step names no validator; there are ${names.join(', ')}`)
    const [first, second] = known
    if (second === undefined) return first === undefined ? undefined : validators.get(first)
    source.fault(
      [...path, second],
      `a step has one validator, found ${known.join(' and ')}; put a dash before each`,
      true,
    )
    return undefined
  }

  /** The options of a step, or undefined after what is wrong with them has been said. */
  #load(validator: Validator, value: unknown, path: Path): { loaded: unknown } | undefined {
    const spec = this.#source.shaped(validator.schema, value, path)
    if (spec === undefined) return undefined
    if (validator.templated) this.#checkTemplates(spec, validator.verbatim ?? [], path)
    if (!validator.load) return { loaded: spec }
    const state = { failed: false }
    const loaded = validator.load(spec, this.#loading(path, state))
    return state.failed ? undefined : { loaded }
  }

  /** What the validator is given; `state` tells whether it found an error. */
  #loading(specPath: Path, state: { failed: boolean }): Loading {
    const source = this.#source
    const below = (path: Path) => [...specPath, ...path]
    return {
      isTest: specPath[0] === 'tests',
      readResource: (name, path) => {
        try {
          const content = this.#options.readResource(name)
          source.addFile(name, content)
          return content
        } catch (error) {
          state.failed = true
          source.fault(below(path), messageOf(error))
          return Buffer.alloc(0)
        }
      },
      loadSteps: (value, path) => this.parse(value, below(path)),
      fault: (path, message, severity = 'error') => {
        if (severity === 'error') {
          state.failed = true
          source.fault(below(path), message)
        } else if (!state.failed) source.warn(below(path), message)
      },
      usesArgument: (name, path) => this.#uses.push({ name, path: below(path) }),
      makesArgument: (name, path) => {
        if (RESERVED_ARGUMENTS.includes(name))
          source.warn(
            below(path),
            `'${name}' is given to every step by Ingot; setting it here is of little use`,
          )
        this.#made.add(name)
      },
      argument: (name) => this.#arguments.get(name),
    }
  }

  #parseCondition(text: string, path: Path): Condition | undefined {
    try {
      const condition = parseCondition(text)
      for (const name of condition.uses) this.#uses.push({ name, path })
      return condition
    } catch (error) {
      this.#source.fault(path, messageOf(error))
      return undefined
    }
  }

  /** Every text that is filled in when the step runs. */
  #checkTemplates(value: unknown, verbatim: readonly string[], path: Path): void {
    if (typeof value === 'string' && isTemplate(value)) {
      try {
        for (const name of parseTemplate(value).uses) this.#uses.push({ name, path })
      } catch (error) {
        this.#source.fault(path, messageOf(error))
      }
    }
    if (typeof value !== 'object' || value === null) return
    for (const [key, member] of Object.entries(value))
      if (!verbatim.includes(key))
        this.#checkTemplates(member, verbatim, [...path, Array.isArray(value) ? Number(key) : key])
  }
}

/** `['validators', 2, 'os_case', 0, 'debian', 1]` as `validators[2].os_case[0].debian[1]`. */
function toId(path: Path): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`,
    )
    .join('')
}
