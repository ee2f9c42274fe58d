import { resolveArguments } from '../recipes/argument-values.ts'
import { describeRecipe, type Flow } from '../recipes/describe-recipe.ts'
import type { Recipe } from '../recipes/recipe.ts'
import { formatRecipe } from './_describe-recipe.ts'
import type { Cli } from './cli.ts'

/** What a run would do, with the values of the arguments resolved; nothing is opened. Fails with ARGUMENT_INVALID. */
export function printPlan(
  recipe: Recipe,
  values: ReadonlyMap<string, string>,
  flow: Flow,
  cli: Cli,
): void {
  const description = describeRecipe(recipe, resolveArguments(recipe.args, values))
  cli.print(
    cli.json
      ? JSON.stringify({ flow, ...description })
      : formatRecipe(description, { colours: cli.terminal, flows: [flow] }),
  )
}
