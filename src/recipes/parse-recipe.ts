/**
 * From YAML to a typed tree. Every fault of the recipe is found in one go and says where it stands;
 * a recipe comes out only if there is none.
 */
import { basename, extname } from 'node:path'
import { didYouMean } from '../schema/find-faults.ts'
import { parseArguments } from './_parse-arguments.ts'
import { StepParser } from './_parse-steps.ts'
import { isMapping, kindOf, RecipeSource } from './_recipe-source.ts'
import { baseSchema, diskSchema } from './base-schema.ts'
import type { Clean, Recipe, RecipeFault } from './recipe.ts'
import { recipeKeys } from './recipe-schema.ts'
import type { Validator } from './validator.ts'
import { Type } from '../schema/type.ts'

/** Contents of a file that a recipe names. Throws an Error whose message is for the author. */
export type ReadResource = (name: string) => Buffer

export interface ParseOptions {
  file: string
  resourceRoots: readonly string[]
  validators: ReadonlyMap<string, Validator>
  readResource: ReadResource
}

/** Keys at the top of a recipe, in the order in which they are best written. */
const ROOT_KEYS: readonly string[] =
  'name description arguments base disk validators clean tests'.split(' ')

/** The recipe, or undefined when `faults` has an error. */
export function parseRecipe(
  text: string,
  options: ParseOptions,
): { recipe: Recipe | undefined; faults: readonly RecipeFault[] } {
  const source = new RecipeSource(text, options.file)
  const { root } = source
  if (isMapping(root)) {
    const recipe = parseRoot(root, source, options)
    const { faults } = source
    return { recipe: source.hasErrors() ? undefined : { ...recipe, warnings: faults }, faults }
  }
  if (!source.hasErrors())
    source.fault([], `wanted a mapping with the key 'validators', found ${kindOf(root)}`)
  return { recipe: undefined, faults: source.faults }
}

function parseRoot(
  root: Record<string, unknown>,
  source: RecipeSource,
  options: ParseOptions,
): Recipe {
  const { file, resourceRoots } = options
  for (const key of Object.keys(root))
    if (!ROOT_KEYS.includes(key))
      source.fault(
        [key],
        `unknown key '${key}'${didYouMean(key, ROOT_KEYS) || `; wanted one of ${ROOT_KEYS.join(', ')}`}`,
        true,
      )
  const keys = source.shaped<{
    name?: string
    description?: string
    clean?: boolean | { keep?: string[]; also?: string[] }
  }>(
    Type.Object(recipeKeys),
    Object.fromEntries(Object.entries(root).filter(([key]) => Object.hasOwn(recipeKeys, key))),
    [],
  )
  const { base, disk, validators, tests } = root
  const args = parseArguments(root['arguments'], source)
  const steps = new StepParser(source, options, args)
  if (validators === undefined)
    source.fault([], "the key 'validators' is missing (the list of steps)")
  const recipe = {
    file,
    resourceRoots,
    name: keys?.name ?? basename(file, extname(file)),
    description: keys?.description ?? '',
    args: [...args.values()],
    steps: validators === undefined ? [] : steps.parse(validators, ['validators']),
    tests: tests === undefined ? [] : steps.parse(tests, ['tests']),
    base:
      base === undefined ? undefined : source.shaped<Recipe['base']>(baseSchema, base, ['base']),
    disk:
      disk === undefined ? undefined : source.shaped<Recipe['disk']>(diskSchema, disk, ['disk']),
    clean: toClean(keys?.clean),
    warnings: [],
  }
  steps.compareUses()
  return { ...recipe, digest: source.digest() }
}
function toClean(
  value: boolean | { keep?: string[]; also?: string[] } | undefined,
): Clean | undefined {
  if (value === undefined) return undefined
  return typeof value === 'boolean'
    ? { enabled: value, keep: [], also: [] }
    : { enabled: true, keep: value.keep ?? [], also: value.also ?? [] }
}
