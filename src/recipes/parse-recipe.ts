/**
 * From YAML to a typed tree. Every fault of the recipe is found in one go and says where it stands;
 * a recipe comes out only if there is none.
 */
import { createHash, type Hash } from 'node:crypto'
import { basename, extname } from 'node:path'
import { type TSchema, Type } from 'typebox'
import { messageOf } from '../base/failure.ts'
import { didYouMean, findFaults, type Path } from '../schema/find-faults.ts'
import { fitTexts } from '../schema/fit-texts.ts'
import { parseYaml, type YamlDocument } from './_yaml.ts'
import { RESERVED_ARGUMENTS, toVariable } from './argument-values.ts'
import { type Condition, parseCondition } from './condition.ts'
import { baseSchema, diskSchema } from './base-schema.ts'
import type { Argument, Clean, Recipe, RecipeFault, Step } from './recipe.ts'
import { argumentSchema, recipeKeys, stepSchema } from './recipe-schema.ts'
import { isTemplate, parseTemplate } from './template.ts'
import type { Loading, Validator } from './validator.ts'

/** Contents of a file that a recipe names. Throws an Error whose message is for the author. */
export type ReadResource = (name: string) => Buffer

export interface ParseOptions {
  file: string
  resourceRoots: readonly string[]
  validators: ReadonlyMap<string, Validator>
  readResource: ReadResource
}

const ROOT_KEYS = [
  'name',
  'description',
  'arguments',
  'base',
  'disk',
  'validators',
  'clean',
  'tests',
]
const STEP_KEYS = Object.keys(stepSchema.properties)

/** The recipe, or undefined when `faults` has an error. */
export function parseRecipe(
  text: string,
  options: ParseOptions,
): { recipe: Recipe | undefined; faults: readonly RecipeFault[] } {
  const parser = new RecipeParser(text, options)
  const recipe = parser.parse()
  const faults = parser.faults.toSorted(
    (a, b) => a.place.line - b.place.line || a.place.column - b.place.column,
  )
  const failed = faults.some((fault) => fault.severity === 'error')
  return { recipe: failed ? undefined : { ...recipe, warnings: faults }, faults }
}

class RecipeParser {
  readonly #options: ParseOptions
  readonly #yaml: YamlDocument
  readonly #digest: Hash
  readonly faults: RecipeFault[]
  /** Arguments that something looks at, to be compared at the end with those that exist. */
  readonly #uses: { name: string; path: Path }[] = []
  readonly #arguments = new Map<string, Argument>()
  /** Arguments that `argument_set` or a script's output may make while the recipe runs. */
  readonly #made = new Set<string>(['distro'])

  constructor(text: string, options: ParseOptions) {
    this.#options = options
    this.#digest = createHash('sha256').update(text)
    this.#yaml = parseYaml(text, options.file)
    this.faults = this.#yaml.faults
  }

  parse(): Recipe {
    const root = this.#yaml.value
    const { file, resourceRoots } = this.#options
    const recipe = {
      file,
      resourceRoots,
      name: basename(file, extname(file)),
      description: '',
      args: [] as Argument[],
      steps: [] as readonly Step[],
      tests: [] as readonly Step[],
      base: undefined as Recipe['base'],
      disk: undefined as Recipe['disk'],
      clean: undefined as Clean | undefined,
      warnings: [],
    }
    if (this.faults.length > 0 && (root === undefined || root === null))
      return { ...recipe, digest: '' }
    if (!isMapping(root)) {
      this.#fault(
        [],
        `wanted a mapping with the key 'validators', found ${root === null ? 'an empty document' : Array.isArray(root) ? 'a list' : 'a single value'}`,
      )
      return { ...recipe, digest: '' }
    }
    for (const key of Object.keys(root))
      if (!ROOT_KEYS.includes(key))
        this.#fault(
          [key],
          `unknown key '${key}'${didYouMean(key, ROOT_KEYS) || `; wanted one of ${ROOT_KEYS.join(', ')}`}`,
          'error',
          true,
        )
    const keys = this.#shaped<{
      name?: string
      description?: string
      clean?: boolean | { keep?: string[]; also?: string[] }
    }>(
      Type.Object(recipeKeys),
      Object.fromEntries(Object.entries(root).filter(([key]) => key in recipeKeys)),
      [],
    )
    recipe.name = keys?.name ?? recipe.name
    recipe.description = keys?.description ?? ''
    recipe.clean = toClean(keys?.clean)
    recipe.base =
      root['base'] === undefined ? undefined : this.#shaped(baseSchema, root['base'], ['base'])
    recipe.disk =
      root['disk'] === undefined ? undefined : this.#shaped(diskSchema, root['disk'], ['disk'])
    this.#parseArguments(root['arguments'])
    recipe.args = [...this.#arguments.values()]
    if (root['validators'] === undefined)
      this.#fault([], "the key 'validators' is missing (the list of steps)")
    else recipe.steps = this.#parseSteps(root['validators'], ['validators'])
    if (root['tests'] !== undefined) recipe.tests = this.#parseSteps(root['tests'], ['tests'])
    for (const { name, path } of this.#uses)
      if (!this.#arguments.has(name) && !this.#made.has(name))
        this.#fault(
          path,
          `no argument '${name}' is declared or set${didYouMean(name, [...this.#arguments.keys(), ...this.#made])}`,
          'warning',
        )
    return { ...recipe, digest: this.#digest.digest('hex') }
  }

  #parseArguments(value: unknown): void {
    if (value === undefined || value === null) return
    if (!isMapping(value)) {
      this.#fault(
        ['arguments'],
        `wanted a mapping of names, found ${Array.isArray(value) ? 'a list; write each as `name: {…}` without the dash' : 'a single value'}`,
      )
      return
    }
    const variables = new Map<string, string>()
    for (const [name, body] of Object.entries(value)) {
      const path = ['arguments', name]
      const shaped = this.#shaped<ArgumentBody>(argumentSchema, body ?? {}, path)
      if (!shaped) continue
      const argument: Argument = {
        name,
        variable: shaped.target_variable ?? toVariable(name),
        description: shaped.description ?? '',
        default: shaped.default,
        required: shaped.required ?? false,
        choices: shaped.choices,
        secret: shaped.secret ?? false,
        place: this.#yaml.placeOf(path, true),
      }
      this.#checkArgument(argument, path, variables)
      this.#arguments.set(name, argument)
    }
  }

  /** Source of the rules: Sahara `plugins/images.py`, `ImageArgument.from_yaml`. */
  #checkArgument(argument: Argument, path: Path, variables: Map<string, string>): void {
    const { name, variable, choices } = argument
    if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name))
      this.#fault(
        path,
        `'${name}' cannot name an argument; wanted letters, digits, - and _, a letter first`,
        'error',
        true,
      )
    for (const reserved of RESERVED_ARGUMENTS)
      if (name === reserved || variable === reserved)
        this.#fault(
          path,
          `'${reserved}' is given to every step by Ingot, so no argument may have its name`,
          'error',
          true,
        )
    if (
      ['PATH', 'HOME', 'IFS', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'ENV', 'BASH_ENV', 'SHELL'].includes(
        variable,
      )
    )
      this.#fault(
        path,
        `the variable ${variable} would change how programs run; give the argument another target_variable`,
        'error',
        true,
      )
    const other = variables.get(variable)
    if (other !== undefined)
      this.#fault(
        path,
        `'${name}' and '${other}' share the variable ${variable}; give one another target_variable`,
        'error',
        true,
      )
    variables.set(variable, name)
    if (argument.default === undefined && !argument.required)
      this.#fault(path, `argument '${name}' is not required, so it needs a default`)
    if (choices && argument.default !== undefined && !choices.includes(argument.default))
      this.#fault(
        [...path, 'default'],
        `the default '${argument.default}' is none of the choices ${choices.join(', ')}${didYouMean(argument.default, choices)}`,
      )
    if (argument.secret && argument.default !== undefined)
      this.#fault(
        [...path, 'default'],
        `a secret must not stand in the recipe; make it required and give it by a file or the environment`,
      )
    if (argument.required && argument.default !== undefined)
      this.#fault(
        [...path, 'default'],
        `'${name}' is required, so its default is never used`,
        'warning',
      )
  }

  #parseSteps(value: unknown, path: Path): readonly Step[] {
    if (!Array.isArray(value)) {
      this.#fault(
        path,
        `wanted a list of steps, found ${value === null ? 'nothing' : isMapping(value) ? 'a mapping; put a dash before each step' : 'a single value'}`,
      )
      return []
    }
    return value.flatMap((item, index) => this.#parseStep(item, [...path, index]) ?? [])
  }

  #parseStep(item: unknown, path: Path): Step | undefined {
    const { validators } = this.#options
    if (!isMapping(item)) {
      this.#fault(
        path,
        `wanted a mapping with one validator, such as \`package: nginx\`, found ${item === null ? 'nothing' : Array.isArray(item) ? 'a list' : 'a single value'}`,
      )
      return undefined
    }
    const keys = Object.keys(item).filter((key) => !STEP_KEYS.includes(key))
    for (const key of keys)
      if (!validators.has(key))
        this.#fault(
          [...path, key],
          `unknown validator '${key}'${didYouMean(key, [...validators.keys(), ...STEP_KEYS]) || `; there are ${[...validators.keys()].join(', ')}`}`,
          'error',
          true,
        )
    const known = keys.filter((key) => validators.has(key))
    if (keys.length === 0)
      this.#fault(
        path,
        `the step names no validator; there are ${[...validators.keys()].join(', ')}`,
      )
    if (known.length > 1)
      this.#fault(
        [...path, known[1] ?? 0],
        `a step has one validator, found ${known.join(' and ')}; put a dash before each`,
        'error',
        true,
      )
    const common = this.#shaped<{ name?: string; when?: string; on?: 'image' | 'host' }>(
      stepSchema,
      Object.fromEntries(Object.entries(item).filter(([key]) => STEP_KEYS.includes(key))),
      path,
    )
    const validator = validators.get(known[0] ?? '')
    if (!validator || known.length > 1) return undefined
    const specPath = [...path, validator.name]
    const spec = this.#shaped(validator.schema, item[validator.name], specPath)
    const when =
      common?.when === undefined ? undefined : this.#parseCondition(common.when, [...path, 'when'])
    if (spec === undefined) return undefined
    if (validator.templated) this.#checkTemplates(spec, validator.verbatim ?? [], specPath)
    const before = this.faults.length
    const options = validator.load ? validator.load(spec as never, this.#loading(specPath)) : spec
    if (this.faults.slice(before).some((fault) => fault.severity === 'error')) return undefined
    return {
      id: toId(path),
      validator,
      options,
      title: common?.name ?? validator.title(options as never),
      when,
      on: common?.on,
      place: this.#yaml.placeOf(specPath, true),
    }
  }

  #loading(specPath: Path): Loading {
    return {
      readResource: (name, path) => {
        try {
          const content = this.#options.readResource(name)
          this.#digest.update(`\0${name}\0`).update(content)
          return content
        } catch (error) {
          this.#fault([...specPath, ...path], messageOf(error))
          return Buffer.alloc(0)
        }
      },
      loadSteps: (value, path) => this.#parseSteps(value, [...specPath, ...path]),
      fault: (path, message, severity = 'error') =>
        this.#fault([...specPath, ...path], message, severity),
      usesArgument: (name, path) => this.#uses.push({ name, path: [...specPath, ...path] }),
      makesArgument: (name) => this.#made.add(name),
    }
  }

  #parseCondition(text: string, path: Path): Condition | undefined {
    try {
      const condition = parseCondition(text)
      for (const name of condition.uses) this.#uses.push({ name, path })
      return condition
    } catch (error) {
      this.#fault(path, messageOf(error))
      return undefined
    }
  }

  #checkTemplates(value: unknown, verbatim: readonly string[], path: Path): void {
    if (typeof value === 'string' && isTemplate(value)) {
      try {
        for (const name of parseTemplate(value).uses) this.#uses.push({ name, path })
      } catch (error) {
        this.#fault(path, messageOf(error))
      }
    }
    if (typeof value !== 'object' || value === null) return
    for (const [key, member] of Object.entries(value))
      if (!verbatim.includes(key))
        this.#checkTemplates(member, verbatim, [...path, Array.isArray(value) ? Number(key) : key])
  }

  /** The value fitted to the schema, or undefined after its faults have been reported. */
  #shaped<Shaped>(schema: TSchema, value: unknown, path: Path): Shaped | undefined {
    const fitted = fitTexts(schema, value, (below) => this.#yaml.sourceOf([...path, ...below]))
    const faults = findFaults(schema, fitted)
    for (const fault of faults)
      this.#fault([...path, ...fault.path], fault.message, 'error', fault.atKey)
    return faults.length === 0 ? (fitted as Shaped) : undefined
  }

  #fault(
    path: Path,
    message: string,
    severity: 'error' | 'warning' = 'error',
    atKey = false,
  ): void {
    this.faults.push({ severity, place: this.#yaml.placeOf(path, atKey), message })
  }
}

interface ArgumentBody {
  description?: string
  target_variable?: string
  default?: string
  required?: boolean
  choices?: string[]
  secret?: boolean
}

function toClean(
  value: boolean | { keep?: string[]; also?: string[] } | undefined,
): Clean | undefined {
  if (value === undefined) return undefined
  return typeof value === 'boolean'
    ? { enabled: value, keep: [], also: [] }
    : { enabled: true, keep: value.keep ?? [], also: value.also ?? [] }
}

/** `['validators', 2, 'os_case', 0, 'debian', 1]` as `validators[2].os_case[0].debian[1]`. */
function toId(path: Path): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`,
    )
    .join('')
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
