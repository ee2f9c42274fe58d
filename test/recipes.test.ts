/** The recipes that are shipped. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { validatorMap } from '../src/app/builtin.ts'
import { formatFault, inspectRecipe } from '../src/recipes/read-recipe.ts'

const ROOT = join(import.meta.dirname, '..')

describe('a shipped recipe', () => {
  for (const file of globSync('recipes/*.yaml', { cwd: ROOT }))
    it(`is an example to follow: ${file} has no faults and no warnings`, async () => {
      const { recipe, faults } = await inspectRecipe(join(ROOT, file), {
        validators: validatorMap(),
      })
      assert.deepEqual(faults.map(formatFault), [])
      assert.notEqual(recipe?.description, '')
    })
})
