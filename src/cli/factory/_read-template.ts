import { dirname } from 'node:path'
import { validatorMap } from '../../app/builtin.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { isTdl } from '../../factory/parse-template.ts'
import { parseTdl } from '../../factory/tdl/parse-tdl.ts'
import { parseRecipe, type ReadResource } from '../../recipes/parse-recipe.ts'
import { resourceReader } from '../../recipes/read-recipe.ts'
import { readText } from './_scene.ts'

/** A template, and the files it names, as they go to a factory that may be elsewhere. */
export interface SentTemplate {
  readonly template: string
  /** In base64, by the path that the template names. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Reads a template, and every file beside it that it names. Its faults are the factory's to tell, which may know validators
 * that we do not. Fails with FILE_NOT_FOUND, FILE_UNREADABLE.
 */
export async function readTemplate(path: string): Promise<SentTemplate> {
  const template = await readText(path)
  const files: Record<string, string> = {}
  const read = resourceReader([dirname(path)])
  const readResource: ReadResource = (name) => {
    const content = read(name)
    files[name] = Buffer.from(content).toString('base64')
    return content
  }
  if (isTdl(template)) parseTdl(template, { file: path, readResource, requireRootPassword: false })
  else
    parseRecipe(template, {
      file: path,
      resourceRoots: [],
      validators: validatorMap(),
      readResource,
    })
  return { template, files }
}

/** Who takes a template over a wire does not know what it is called here: faults are told by the name that people gave. */
export function withFileName(error: unknown, path: string): unknown {
  if (!isFailure(error, 'TEMPLATE_INVALID') && !isFailure(error, 'RECIPE_INVALID')) return error
  const { code, message, details, fix = '' } = error
  return new Failure(
    code,
    message.replaceAll(/^template(?=:\d+:\d+: )/gm, () => path),
    {
      details,
      cause: error,
      fix: fix.replace('FILE', () => path),
    },
  )
}
