/** Whole recipes as texts in tests: what is wrong with them, and what they do on a scripted remote. */
import assert from 'node:assert/strict'
import { validatorMap } from '../app/builtin.ts'
import { type Context, makeContext } from '../base/context.ts'
import { parseRecipe } from '../recipes/parse-recipe.ts'
import type { Recipe } from '../recipes/recipe.ts'
import type { Report } from '../recipes/report.ts'
import { runRecipe } from '../recipes/run-recipe.ts'
import type { Mode } from '../recipes/validator.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { makeScriptedRemote, type RemoteScript, type ScriptedRemote } from './scripted-remote.ts'

type Resources = Readonly<Record<string, string>>

/** All that is wrong with a recipe, as `line:column: message`. */
export function inspectText(
  text: string,
  resources: Resources = {},
): { recipe: Recipe | undefined; errors: string[]; warnings: string[] } {
  const { recipe, faults } = parseRecipe(text, {
    file: 'recipe.yaml',
    resourceRoots: [],
    validators: validatorMap(),
    readResource: (name) => {
      const content = resources[name]
      if (content === undefined) throw new Error(`no file '${name}'`)
      return Buffer.from(content)
    },
  })
  const linesOf = (wanted: 'error' | 'warning') =>
    faults
      .filter(({ severity }) => severity === wanted)
      .map(({ place, message }) => `${place.line}:${place.column}: ${message}`)
  return { recipe, errors: linesOf('error'), warnings: linesOf('warning') }
}

/** The errors of a text, in order. */
export function errorsOf(text: string, resources?: Resources): string[] {
  return inspectText(text, resources).errors
}

/** The warnings of a text that has no errors. */
export function warningsOf(text: string, resources?: Resources): string[] {
  const { errors, warnings } = inspectText(text, resources)
  assert.deepEqual(errors, [])
  return warnings
}

/** A small script that a check runs too, so that nobody is warned of it. */
export const QUIET_SCRIPT = '#!/bin/sh\n[ "$test_only" = 1 ] && exec test -e /done\n'

/** The recipe of a text that must have no errors. */
export function recipeOf(text: string, resources: Resources = {}): Recipe {
  const { recipe, errors } = inspectText(text, resources)
  assert.deepEqual(errors, [])
  assert.ok(recipe)
  return recipe
}

export interface TextRun extends ScriptedRemote {
  report: Report
}

/** Runs a recipe on a scripted remote; commands that nothing answers end with 0. */
export async function runText(
  text: string,
  options: RemoteScript & {
    mode?: Mode
    /** The remote can only read and write files. */
    noCommands?: boolean
    values?: Readonly<Record<string, string>>
    resources?: Resources
    context?: Partial<Context>
  } = {},
): Promise<TextRun> {
  const scripted = makeScriptedRemote(
    options.noCommands ? { files: options.files ?? {} } : { otherwise: { code: 0 }, ...options },
  )
  const context = makeContext(options.context)
  const report = await runRecipe(
    recipeOf(text, options.resources),
    openRemote(scripted.driver, context),
    {
      mode: options.mode ?? 'reconcile',
      values: new Map(Object.entries(options.values ?? {})),
      cacheDir: '/nonexistent',
    },
    context,
  )
  return { ...scripted, report }
}
