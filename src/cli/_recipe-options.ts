/**
 * The options that a recipe brings to the command line: a flag for each of its arguments, and
 * `--set`, `--values` and the environment for the same values.
 */
import { readFileSync, statSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { parse } from 'yaml'
import { argumentFromEnvironment } from '../app/config.ts'
import { validatorMap } from '../app/builtin.ts'
import { asFileFailure, Failure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { readRecipe } from '../recipes/read-recipe.ts'
import type { Argument, Recipe } from '../recipes/recipe.ts'
import { isTaken } from './_common-options.ts'

const ARGUMENTS_HEADING = "The recipe's own arguments:"

/** Finds the recipe among the words and gives the command a flag for each of its arguments. */
export async function addRecipeOptions(command: Command, argv: readonly string[]): Promise<void> {
  command
    .addOption(
      new Option('--set <name=value>', 'a value for an argument of the recipe; may be repeated')
        .argParser(collect)
        .helpGroup(ARGUMENTS_HEADING),
    )
    .addOption(
      new Option('--values <file>', 'values for arguments, from a YAML file; may be repeated')
        .argParser(collect)
        .helpGroup(ARGUMENTS_HEADING),
    )
  const file = argv.find((word) => !word.startsWith('-') && isFile(word) && /\.ya?ml$/i.test(word))
  if (file === undefined) return
  const recipe = await readRecipe(file, { validators: validatorMap() })
  for (const argument of recipe.args) addFlag(command, argument)
}

/** Reads the recipe and gathers the values: flags, then `--set`, then `--values`, then the environment; the first wins. */
export async function readRecipeInput(
  file: string,
  command: Command,
): Promise<{ recipe: Recipe; values: Map<string, string> }> {
  const recipe = await readRecipe(file, { validators: validatorMap() })
  const options: Record<string, unknown> = command.opts()
  const values = new Map<string, string>()
  const give = (name: string, value: string) => {
    if (!values.has(name)) values.set(name, value)
  }
  for (const argument of recipe.args) {
    const flag = options[attributeOf(argument)]
    if (typeof flag !== 'string') continue
    give(argument.name, argument.secret ? readSecret(flag) : flag)
  }
  for (const text of (options['set'] as string[] | undefined) ?? []) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (name === undefined || value === undefined)
      throw new Failure('USAGE', `--set ${text}: wanted NAME=VALUE`)
    if (recipe.args.some((argument) => argument.name === name && argument.secret))
      throw new Failure(
        'USAGE',
        `'${name}' is a secret, and command lines are seen by everybody on this host`,
        { fix: `Use --${name}-file FILE, --values FILE, or the environment (INGOT_ARG_…).` },
      )
    give(name, value)
  }
  for (const path of (options['values'] as string[] | undefined) ?? [])
    for (const [name, value] of readValues(path)) give(name, value)
  for (const argument of recipe.args) {
    const value = argumentFromEnvironment(argument.variable)
    if (value !== undefined) give(argument.name, value)
  }
  return { recipe, values }
}

function addFlag(command: Command, argument: Argument): void {
  const name = argument.secret ? `${argument.name}-file` : argument.name
  const flag = name.length === 1 ? `-${name}` : `--${name}`
  if (isTaken(command, flag)) return // `--set` still reaches it
  const notes = [
    argument.description,
    argument.secret ? '(a secret: the file that holds it)' : '',
    argument.required ? '(required)' : '',
  ]
  const option = new Option(
    `${flag} <${argument.secret ? 'file' : 'value'}>`,
    notes.filter(Boolean).join(' '),
  ).helpGroup(ARGUMENTS_HEADING)
  option.attributeName = () => attributeOf(argument)
  if (argument.choices) option.choices([...argument.choices])
  if (argument.default !== undefined)
    option.description += ` (default: ${JSON.stringify(argument.default)})`
  command.addOption(option)
}

function attributeOf(argument: Argument): string {
  return `argument:${argument.name}`
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

function readValues(path: string): [string, string][] {
  let values: unknown
  try {
    if (statSync(path).size > MiB)
      throw new Failure('ARGUMENT_INVALID', `${path}: larger than 1 MiB`)
    // Texts as they are written: `version: 1.10` is not a number here.
    values = parse(readFileSync(path, 'utf8'), { schema: 'failsafe', maxAliasCount: 100 }) ?? {}
  } catch (error) {
    if (error instanceof Failure) throw error
    if (error instanceof Error && 'syscall' in error) throw asFileFailure(error, path)
    throw new Failure('ARGUMENT_INVALID', `${path}: ${messageOf(error)}`, { cause: error })
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new Failure('ARGUMENT_INVALID', `${path}: wanted a mapping of argument names to values`)
  return Object.entries(values).map(([name, value]) => {
    if (typeof value !== 'string')
      throw new Failure('ARGUMENT_INVALID', `${path}: ${name}: wanted a single value`)
    return [name, value]
  })
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value]
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
