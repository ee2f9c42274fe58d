/**
 * A workbench for validators: a scripted remote on which steps of a recipe are checked and applied
 * through the real parser and the real run.
 */
import { type Context, makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { validatorMap } from '../app/builtin.ts'
import { parseRecipe } from '../recipes/parse-recipe.ts'
import type { Verdict } from '../recipes/report.ts'
import { runRecipe } from '../recipes/run-recipe.ts'
import type { Mode } from '../recipes/validator.ts'
import { openRemote } from '../remotes/open-remote.ts'
import type { Remote } from '../remotes/remote.ts'
import { makeScriptedRemote, type RemoteScript, type ScriptedRemote } from './scripted-remote.ts'

export interface RecipeBench extends ScriptedRemote {
  remote: Remote
  /** Runs the steps (YAML, a list) and gives their verdicts. */
  test(steps: string): Promise<readonly Verdict[]>
  reconcile(steps: string): Promise<readonly Verdict[]>
  /** Contents of a file of the guest. */
  text(path: string): string | undefined
}

export interface BenchOptions extends RemoteScript {
  /** Files that stand beside the recipe. */
  resources?: Readonly<Record<string, string>>
  /** Arguments of the recipe. */
  values?: Readonly<Record<string, string>>
  cacheDir?: string
  context?: Partial<Context>
}

export function openBench(options: BenchOptions = {}): RecipeBench {
  const scripted = makeScriptedRemote(options)
  const context = makeContext(options.context)
  const remote = openRemote(scripted.driver, context)
  const run = async (steps: string, mode: Mode): Promise<readonly Verdict[]> => {
    const report = await runRecipe(
      parseSteps(steps, options),
      remote,
      {
        mode,
        values: new Map(Object.entries(options.values ?? {})),
        cacheDir: options.cacheDir ?? '/nonexistent',
      },
      context,
    )
    return report.verdicts
  }
  return {
    ...scripted,
    remote,
    test: (steps) => run(steps, 'test-only'),
    reconcile: (steps) => run(steps, 'reconcile'),
    text: (path) => {
      const content = scripted.files.read(path)
      return content && Buffer.from(content).toString()
    },
  }
}

/** The recipe of these steps. Fails with RECIPE_INVALID; its message has all faults. */
export function parseSteps(steps: string, options: BenchOptions = {}) {
  const names = Object.keys(options.values ?? {})
  const declared = names.map((name) => `  ${name}: {required: true}`).join('\n')
  const text = `${names.length > 0 ? `arguments:\n${declared}\n` : ''}validators:\n${steps.trim()}\n`
  const { recipe, faults } = parseRecipe(text, {
    file: 'bench.yaml',
    resourceRoots: [],
    validators: validatorMap(),
    readResource: (name) => {
      const content = options.resources?.[name]
      if (content === undefined) throw new Error(`no file '${name}'`)
      return Buffer.from(content)
    },
  })
  if (recipe) return recipe
  const messages = faults.map(({ place, message }) => `${place.line}:${place.column}: ${message}`)
  throw new Failure('RECIPE_INVALID', messages.join('\n'))
}
