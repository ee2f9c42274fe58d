import { resolveArguments } from '../recipes/argument-values.ts'
import { describeRecipe, type Flow } from '../recipes/describe-recipe.ts'
import type { Recipe } from '../recipes/recipe.ts'
import { formatRecipe } from './_describe-recipe.ts'

/**
 * What a run would do, with the values it would have. Fails with ARGUMENT_INVALID, as the run would.
 */
export function formatPlan(
  recipe: Recipe,
  values: ReadonlyMap<string, string>,
  flow: Flow,
  json: boolean,
): string {
  const described = describeRecipe(recipe, resolveArguments(recipe.args, values))
  return json
    ? JSON.stringify({ flow, ...described })
    : formatRecipe(described, { colours: false, flows: [flow] })
}
