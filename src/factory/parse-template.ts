/** Reads what an image is to be made by: a TDL (XML) or a recipe (YAML), whichever it is by its content. */
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { Failure } from '../base/failure.ts'
import { parseRecipe, type ReadResource } from '../recipes/parse-recipe.ts'
import { formatFault, resourceReader } from '../recipes/read-recipe.ts'
import type { Recipe, RecipeFault } from '../recipes/recipe.ts'
import type { Validator } from '../recipes/validator.ts'
import { osOfBase } from './_os-of-base.ts'
import type { GivenTemplate } from './factory.ts'
import { parseTdl } from './tdl/parse-tdl.ts'
import type { Tdl } from './tdl/tdl.ts'
import { toRecipeText } from './tdl/to-recipe.ts'
import type { InstallPlan, Template } from './template.ts'
import { GiB } from '../base/units.ts'

export interface ParseTemplateOptions {
  readonly validators: ReadonlyMap<string, Validator>
  /** Whether a TDL must give the password of root. */
  readonly requireRootPassword: boolean
  /** Where the template lies, if it is a file of this host's: files beside it are then found there too. */
  readonly file?: string | undefined
}

/** Source: Oz's default. */
const DEFAULT_DISK = 10 * GiB

/** Whether a template is a TDL; else it is a recipe. */
export function isTdl(text: string): boolean {
  return /^\ufeff?\s*</.test(text)
}

/**
 * Reads a template. Files that it names are those in `given.files`, by their path from the template; with `file`, those
 * in its directory as well.
 * Fails with TEMPLATE_INVALID (a TDL) and RECIPE_INVALID, with all faults in `details.faults`.
 */
export async function parseTemplate(
  given: GivenTemplate,
  options: ParseTemplateOptions,
): Promise<Template> {
  const { text } = given
  const readResource = readerOf(given, options.file)
  const file = options.file ?? 'template'
  if (!isTdl(text)) return fromRecipe(text, readRecipeText(text, file, readResource, options))
  const { requireRootPassword } = options
  const { tdl, faults } = parseTdl(text, { file, readResource, requireRootPassword })
  if (!tdl) throw invalid('TEMPLATE_INVALID', file, faults)
  const recipe = readRecipeText(toRecipeText(tdl), file, readResource, options)
  return fromTdl(text, tdl, recipe)
}

/** Files beside a template: those that came with it, and those in its directory if it has one. */
export function readerOf({ files = {} }: GivenTemplate, file: string | undefined): ReadResource {
  const directory = file === undefined ? undefined : dirname(resolve(file))
  const fromDisk = directory === undefined ? undefined : resourceReader([directory])
  return (name) => {
    const given = Object.hasOwn(files, name) ? files[name] : undefined
    if (given) return Buffer.from(given)
    if (!fromDisk) throw new Error(`no file '${name}' was given with this template`)
    return fromDisk(directory !== undefined && isAbsolute(name) ? relative(directory, name) : name)
  }
}

function readRecipeText(
  text: string,
  file: string,
  readResource: ReadResource,
  { validators }: ParseTemplateOptions,
): Recipe {
  const { recipe, faults } = parseRecipe(text, {
    file,
    resourceRoots: [],
    validators,
    readResource,
  })
  if (!recipe) throw invalid('RECIPE_INVALID', file, faults)
  return recipe
}

function invalid(
  code: 'RECIPE_INVALID' | 'TEMPLATE_INVALID',
  file: string,
  faults: readonly RecipeFault[],
): Failure {
  const errors = faults.filter(({ severity }) => severity === 'error')
  return new Failure(code, errors.map(formatFault).join('\n'), {
    details: { file, faults: errors },
  })
}

function fromRecipe(text: string, recipe: Recipe): Template {
  return {
    kind: 'recipe',
    text,
    name: recipe.name,
    description: recipe.description,
    os: osOfBase(recipe.base),
    install: undefined,
    recipe,
    icicleCommand: null,
    secrets: [],
  }
}

function fromTdl(text: string, tdl: Tdl, recipe: Recipe): Template {
  return {
    kind: 'tdl',
    text,
    name: tdl.name,
    description: tdl.description,
    os: tdl.os,
    install: toInstallPlan(tdl),
    recipe,
    icicleCommand: tdl.icicleCommand,
    secrets: secretsOf(tdl),
  }
}

function toInstallPlan(tdl: Tdl): InstallPlan {
  const { install: source, diskSize, rootPassword, productKey, kernelParameters } = tdl
  return {
    source,
    diskSize: diskSize ?? DEFAULT_DISK,
    rootPassword,
    productKey,
    kernelParameters,
  }
}

/** Passwords and keys, those in addresses too. */
export function secretsOf(tdl: Tdl): readonly string[] {
  const addresses = JSON.stringify(tdl).matchAll(/[a-z]+:\/\/[^/\s"@:]*:([^/\s"@]+)@/gi)
  const found = [tdl.rootPassword, tdl.productKey, ...[...addresses].map(([, secret]) => secret)]
  return [...new Set(found.flatMap((secret) => secret || []))]
}
