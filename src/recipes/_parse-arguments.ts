import { didYouMean, type Path } from '../schema/find-faults.ts'
import { isMapping, kindOf, type RecipeSource } from './_recipe-source.ts'
import { RESERVED_ARGUMENTS, toVariable } from './argument-values.ts'
import type { Argument } from './recipe.ts'
import { argumentSchema } from './recipe-schema.ts'

/** Variables that decide how programs run; a value in one of them would not stay a value. */
const DANGEROUS_VARIABLES: readonly string[] = [
  'BASH_ENV',
  'ENV',
  'HOME',
  'IFS',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'PATH',
  'SHELL',
]

/** What stands below an argument's name. */
interface ArgumentBody {
  description?: string
  target_variable?: string
  default?: string
  required?: boolean
  choices?: string[]
  secret?: boolean
}

/** The arguments that a recipe declares, by name, in order. All that is wrong with them is said. */
export function parseArguments(value: unknown, source: RecipeSource): Map<string, Argument> {
  const args = new Map<string, Argument>()
  if (value === undefined || value === null) return args
  if (!isMapping(value)) {
    source.fault(
      ['arguments'],
      `wanted a mapping of names, found ${kindOf(value)}${Array.isArray(value) ? '; write each as `name: {…}` without the dash' : ''}`,
    )
    return args
  }
  const owners = new Map<string, string>()
  for (const [name, content] of Object.entries(value)) {
    const path = ['arguments', name]
    const body = source.shaped<ArgumentBody>(argumentSchema, content ?? {}, path)
    const argument = toArgument(name, body ?? {}, source)
    args.set(name, argument)
    if (body) checkArgument(argument, path, owners, source)
  }
  return args
}

function toArgument(name: string, body: ArgumentBody, source: RecipeSource): Argument {
  return {
    name,
    variable: body.target_variable ?? toVariable(name),
    description: body.description ?? '',
    default: body.default,
    required: body.required ?? false,
    choices: body.choices,
    secret: body.secret ?? false,
    place: source.placeOf(['arguments', name], true),
  }
}

function checkArgument(
  argument: Argument,
  path: Path,
  owners: Map<string, string>,
  source: RecipeSource,
): void {
  checkNames(argument, path, owners, source)
  checkDefault(argument, path, source)
}

function checkNames(
  { name, variable }: Argument,
  path: Path,
  owners: Map<string, string>,
  source: RecipeSource,
): void {
  const fault = (message: string) => source.fault(path, message, true)
  if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name))
    fault(`'${name}' cannot name an argument; wanted letters, digits, - and _, a letter first`)
  const reserved = RESERVED_ARGUMENTS.find((one) => one === name || one === variable)
  if (reserved !== undefined)
    fault(`'${reserved}' is given to every step by Ingot, so no argument may have its name`)
  if (DANGEROUS_VARIABLES.includes(variable))
    fault(
      `the variable ${variable} would change how programs run; give the argument another target_variable`,
    )
  const owner = owners.get(variable)
  if (owner !== undefined)
    fault(
      `'${name}' and '${owner}' share the variable ${variable}; give one another target_variable`,
    )
  owners.set(variable, name)
}

/** Source of the rules: Sahara `plugins/images.py`, `ImageArgument.from_spec`. */
function checkDefault(argument: Argument, path: Path, source: RecipeSource): void {
  const { name, choices, required, secret } = argument
  if (argument.default === undefined) {
    if (!required && !secret)
      source.fault(path, `argument '${name}' is not required, so it needs a default`)
    if (!required && secret)
      source.fault(path, `argument '${name}' is a secret, so it must be required`)
    return
  }
  const at = [...path, 'default']
  if (choices && !choices.includes(argument.default))
    source.fault(
      at,
      `the default '${argument.default}' is none of the choices ${choices.join(', ')}${didYouMean(argument.default, choices)}`,
    )
  if (secret)
    source.fault(
      at,
      'a secret must not stand in the recipe; make it required and give it by a file or the environment',
    )
  else if (required) source.warn(at, `'${name}' is required, so its default is never used`)
}
