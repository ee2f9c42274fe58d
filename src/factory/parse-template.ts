/** Reads what an image is to be made by: a TDL (XML) or a recipe (YAML), whichever it is by its content. */
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { Failure } from '../base/failure.ts'
import { GiB } from '../base/units.ts'
import { type ParseOptions, parseRecipe, type ReadResource } from '../recipes/parse-recipe.ts'
import { formatFault, resourceReader } from '../recipes/read-recipe.ts'
import type { Recipe, RecipeFault } from '../recipes/recipe.ts'
import type { Validator } from '../recipes/validator.ts'
import { osOfBase } from './_os-of-base.ts'
import type { GivenTemplate } from './factory.ts'
import { parseTdl } from './tdl/parse-tdl.ts'
import { secretsOf } from './tdl/secrets.ts'
import type { Tdl } from './tdl/tdl.ts'
import { toRecipeText } from './tdl/to-recipe.ts'
import type { InstallPlan, Template } from './template.ts'

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
  const { template, faults } = inspectTemplate(given, options)
  if (template) return given.files === undefined ? template : { ...template, files: given.files }
  const errors = faults.filter(({ severity }) => severity === 'error')
  throw new Failure(
    isTdl(given.text) ? 'TEMPLATE_INVALID' : 'RECIPE_INVALID',
    errors.map(formatFault).join('\n'),
    { details: { file: options.file ?? null, faults: errors } },
  )
}

/** As `parseTemplate`, but gives the faults and warnings back instead of throwing them. */
export function inspectTemplate(
  given: GivenTemplate,
  options: ParseTemplateOptions,
): { readonly template: Template | undefined; readonly faults: readonly RecipeFault[] } {
  if (isTdl(given.text)) return inspectTdl(given, options)
  const { text } = given
  const { recipe, faults } = parseRecipe(text, toRecipeOptions(given, options))
  return { template: recipe && fromRecipe(text, recipe), faults }
}

/** As `inspectTemplate`, for what must be a TDL; and the recipe that it becomes, as YAML. */
export function inspectTdl(
  given: GivenTemplate,
  options: ParseTemplateOptions,
): {
  readonly template: Template | undefined
  readonly recipe?: string
  readonly faults: readonly RecipeFault[]
} {
  const { text } = given
  const { requireRootPassword } = options
  const recipeOptions = toRecipeOptions(given, options)
  const { tdl, faults } = parseTdl(text, { ...recipeOptions, requireRootPassword })
  if (!tdl) return { template: undefined, faults }
  const recipe = toRecipeText(tdl)
  const made = parseRecipe(recipe, recipeOptions)
  if (made.recipe) return { template: fromTdl(text, tdl, made.recipe), recipe, faults }
  return { template: undefined, faults: [...faults, ...made.faults.map(asFaultOfTdl)] }
}

function toRecipeOptions(
  given: GivenTemplate,
  { file, validators }: ParseTemplateOptions,
): ParseOptions {
  return {
    file: file ?? 'template',
    resourceRoots: [],
    validators,
    readResource: readerOf(given, file),
  }
}

/** What is wrong with the recipe that a TDL became: where that stands means nothing to its author. */
function asFaultOfTdl({ severity, place, message }: RecipeFault): RecipeFault {
  const begin = { file: place.file, line: 1, column: 1 }
  return { severity, place: begin, message: `as a recipe, this template is wrong: ${message}` }
}

/** Files beside a template: those that came with it, and those in its directory if it has one. */
function readerOf({ files = {} }: GivenTemplate, file: string | undefined): ReadResource {
  const directory = file === undefined ? undefined : dirname(resolve(file))
  return (name) => {
    const given = Object.hasOwn(files, name) ? files[name] : undefined
    if (given) return Buffer.from(given)
    if (directory === undefined) throw new Error(`no file '${name}' was given with this template`)
    return resourceReader([directory])(isAbsolute(name) ? relative(directory, name) : name)
  }
}

function fromRecipe(text: string, recipe: Recipe): Template {
  const { name, description, base } = recipe
  return {
    kind: 'recipe',
    text,
    name,
    description,
    os: osOfBase(base),
    install: undefined,
    recipe,
    icicleCommand: null,
    secrets: [],
  }
}

function fromTdl(text: string, tdl: Tdl, recipe: Recipe): Template {
  const { name, description, os, icicleCommand } = tdl
  return {
    kind: 'tdl',
    text,
    name,
    description,
    os,
    install: toInstallPlan(tdl),
    recipe,
    icicleCommand,
    secrets: secretsOf(tdl),
  }
}

function toInstallPlan(tdl: Tdl): InstallPlan {
  const { install, diskSize, rootPassword, productKey, kernelParameters } = tdl
  return {
    source: install,
    diskSize: diskSize ?? DEFAULT_DISK,
    rootPassword,
    productKey,
    kernelParameters,
  }
}
