import type { Template } from '../factory/template.ts'
import type { Recipe } from '../recipes/recipe.ts'
import { recipeOf } from './recipe-text.ts'

/** A template out of a recipe's text; default: one without steps. */
export function templateOf(
  text = 'validators: []',
  more: Partial<Omit<Template, 'recipe'>> & { recipe?: Partial<Recipe> } = {},
): Template {
  return {
    kind: 'recipe',
    text,
    name: 'debian-12',
    description: '',
    os: { name: 'Debian', version: '12', arch: 'x86_64' },
    install: undefined,
    icicleCommand: null,
    secrets: [],
    ...more,
    recipe: { ...recipeOf(text), ...more.recipe },
  }
}
