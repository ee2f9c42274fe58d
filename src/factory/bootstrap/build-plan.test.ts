import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GiB, MiB } from '../../base/units.ts'
import { parseRecipe } from '../../recipes/parse-recipe.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { planBuild } from './build-plan.ts'

function recipeOf(text: string): Recipe {
  const { recipe, faults } = parseRecipe(text, {
    file: 'test.yaml',
    resourceRoots: [],
    validators: new Map(),
    readResource: () => Buffer.alloc(0),
  })
  assert.ok(recipe, JSON.stringify(faults))
  return recipe
}

const recipe = recipeOf(`
base: {distro: debian, release: bookworm}
disk: {size: 1500MB, file_system: xfs}
arguments: {port: {default: "80"}, token: {secret: true, required: true}}
validators: []
`)
const values = new Map([['token', 'x']])

function formatOf(output: string): string {
  return planBuild(recipe, { output, values }).format
}

function digestOf(output: string, given: [string, string][], size?: number): string {
  return planBuild(recipe, { output, size, values: new Map([...values, ...given]) }).digest
}

describe('the plan of a build', () => {
  it('takes the format from the ending of the output', () => {
    assert.equal(formatOf('a/b.qcow2'), 'qcow2')
    assert.equal(formatOf('b.RAW'), 'raw')
    assert.equal(formatOf('b.img'), 'raw')
    assert.throws(() => formatOf('b.vmdk'), { code: 'USAGE', message: /\.qcow2/ })
  })

  it('makes disks of whole megabytes, by the recipe or as it is told', () => {
    const plan = planBuild(recipe, { output: 'b.raw', values })
    assert.equal(plan.diskSize, 1431 * MiB)
    assert.equal(plan.fileSystem, 'xfs')
    assert.equal(planBuild(recipe, { output: 'b.raw', size: 3 * GiB, values }).diskSize, 3 * GiB)
  })

  it('has one digest for one outcome, whatever the output is called and secrets are', () => {
    const plain = digestOf('a.raw', [])
    assert.equal(digestOf('b.qcow2', []), plain)
    assert.equal(digestOf('a.raw', [['token', 'y']]), plain)
    assert.equal(digestOf('a.raw', [['port', '80']]), plain)
    assert.notEqual(digestOf('a.raw', [['port', '81']]), plain)
    assert.notEqual(digestOf('a.raw', [], 3 * GiB), plain)
  })

  it('needs a base, and values that the recipe accepts', () => {
    assert.throws(
      () => planBuild(recipeOf('validators: []'), { output: 'b.raw', values: new Map() }),
      {
        code: 'USAGE',
        message: /has no 'base'/,
      },
    )
    const wrong = new Map([...values, ['prot', '1']])
    assert.throws(() => planBuild(recipe, { output: 'b.raw', values: wrong }), {
      code: 'ARGUMENT_INVALID',
    })
  })
})
