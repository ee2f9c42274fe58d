import { readFileSync, realpathSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { isInside } from '../base/paths.ts'
import { MiB } from '../base/units.ts'
import { parseRecipe, type ReadResource } from './parse-recipe.ts'
import type { Recipe, RecipeFault } from './recipe.ts'
import type { Validator } from './validator.ts'

/** More than the parser takes, so that it is the parser that refuses. */
const MAX_RECIPE = 5 * MiB
const MAX_RESOURCE = 64 * MiB

/**
 * Reads a recipe and every file its steps name.
 * `resourceRoots` are searched in order for those files; the recipe's own directory when left out.
 * Fails with RECIPE_NOT_FOUND, or RECIPE_INVALID with all faults in `details.faults`.
 */
export async function readRecipe(
  file: string,
  options: { validators: ReadonlyMap<string, Validator>; resourceRoots?: readonly string[] },
): Promise<Recipe> {
  const { recipe, faults } = await inspectRecipe(file, options)
  if (recipe) return recipe
  const errors = faults.filter((fault) => fault.severity === 'error')
  throw new Failure('RECIPE_INVALID', errors.map(formatFault).join('\n'), {
    details: { file, faults: errors },
  })
}

/** As `readRecipe`, but gives the faults and warnings back instead of throwing them. */
export async function inspectRecipe(
  file: string,
  options: { validators: ReadonlyMap<string, Validator>; resourceRoots?: readonly string[] },
): Promise<{ recipe: Recipe | undefined; faults: readonly RecipeFault[] }> {
  const resourceRoots = options.resourceRoots ?? [dirname(file)]
  return parseRecipe(await readStart(file), {
    file,
    resourceRoots,
    validators: options.validators,
    readResource: resourceReader(resourceRoots),
  })
}

/** The text of a recipe, or as much of it as shows that it is too long to be one. */
async function readStart(file: string): Promise<string> {
  try {
    await using handle = await open(file)
    const bytes = Buffer.alloc(MAX_RECIPE)
    let length = 0
    for (let read = -1; read !== 0 && length < MAX_RECIPE; length += read)
      read = (await handle.read(bytes, length, MAX_RECIPE - length)).bytesRead
    return bytes.toString('utf8', 0, length).replace(/^\ufeff/, '')
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new Failure('RECIPE_NOT_FOUND', `no recipe ${file}`, {
        details: { file },
        cause: error,
      })
    throw asFileFailure(error, file)
  }
}

/** `file:line:column: message`, as compilers write it. */
export function formatFault(fault: RecipeFault): string {
  const { file, line, column } = fault.place
  return `${file}:${line}:${column}: ${fault.severity === 'warning' ? 'warning: ' : ''}${fault.message}`
}

/**
 * Finds files in the roots, in order. As in Sahara, the first that is not empty wins. A path that
 * leads out of its root, by `..` or by a symbolic link, is refused.
 */
export function resourceReader(roots: readonly string[]): ReadResource {
  return (name) => {
    if (isAbsolute(name) || name.includes('\0'))
      throw new Error(`'${name}' must be a path within the recipe's directory`)
    let empty: Buffer | undefined
    for (const root of roots) {
      const path = join(root, name)
      if (!isInside(root, path))
        throw new Error(`'${name}' leads out of the recipe's directory ${root}`)
      try {
        if (!isInside(realpathSync(root), realpathSync(path)))
          throw new Error(
            `'${name}' is a symbolic link that leads out of the recipe's directory ${root}`,
          )
        const stat = statSync(path)
        if (!stat.isFile()) throw new Error(`'${name}' is not a file`)
        if (stat.size > MAX_RESOURCE)
          throw new Error(`'${name}' has ${stat.size} bytes; wanted at most ${MAX_RESOURCE}`)
        const content = readFileSync(path)
        if (content.length > 0) return content
        empty = content
      } catch (error) {
        if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR') throw error
      }
    }
    if (empty) return empty
    throw new Error(`no file '${name}' in ${roots.join(' or ')}`)
  }
}
