import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { recipeOf } from '../testing/recipe-text.ts'
import { resolveArguments } from './argument-values.ts'
import { describeRecipe, type StepDescription } from './describe-recipe.ts'

const QUIET = 'test_only\n'
const describeText = (text: string, values?: Record<string, string>) => {
  const recipe = recipeOf(text, { s: QUIET })
  return describeRecipe(
    recipe,
    values && resolveArguments(recipe.args, new Map(Object.entries(values))),
  )
}
const stepsOf = (text: string) => describeText(`validators:\n${text}`).steps
/** Titles as a tree. */
const tree = (steps: readonly StepDescription[]): unknown[] =>
  steps.map(({ title, branches }) =>
    branches.length === 0
      ? title
      : { [title]: branches.map(({ label, steps: inner }) => ({ [label]: tree(inner) })) },
  )

describe('a description of a recipe', () => {
  it('says what each flow does with a step', () => {
    const flows = stepsOf(`
- package: a
- script: s
- argument_set: {argument_name: x, value: y}
- any: [{package: b}]
- {package: c, on: host}
- {package: d, on: image}
`).map((step) => step.flows)
    assert.deepEqual(flows, [
      { pack: 'repair', validate: 'check', provision: 'repair' },
      { pack: 'run', validate: 'check', provision: 'run' },
      { pack: 'check', validate: 'check', provision: 'check' },
      { pack: 'choose', validate: 'choose', provision: 'choose' },
      { pack: '-', validate: 'check', provision: 'repair' },
      { pack: 'repair', validate: 'check', provision: '-' },
    ])
  })

  it('says that tests are only ever checked', () => {
    const { tests } = describeText('validators: []\ntests: [{package: a}]')
    assert.deepEqual(tests[0]?.flows, { pack: '-', validate: 'check', provision: '-' })
  })

  it('says which checks need a command of the guest', () => {
    const needs = stepsOf(`
- package: a
- script: s
- command: {run: x, creates: /y}
- command: {run: x, unless: y}
`).map((step) => step.needsCommand)
    assert.deepEqual(needs, [false, true, false, true])
  })

  it('shows every branch, with what it is chosen by', () => {
    const steps = stepsOf(`
- os_case: [{debian: [{package: a}]}, {redhat: [{all: [{package: b}]}]}]
- argument_case: {argument_name: x, cases: {1: [{package: c}], 2: []}}
`)
    assert.deepEqual(tree(steps), [
      { os_case: [{ debian: ['package a'] }, { redhat: [{ all: [{ all: ['package b'] }] }] }] },
      { 'argument_case x': [{ 1: ['package c'] }, { 2: [] }] },
    ])
  })

  it('shows the values of a run, and only the cases that they choose', () => {
    const text = `
arguments: {x: {default: a}, secret: {secret: true, required: true}}
validators: [{argument_case: {argument_name: x, cases: {a: [{package: a}], b: [{package: b}]}}}]
`
    const { steps, arguments: args } = describeText(text, { x: 'b', secret: 'hunter2' })
    assert.deepEqual(tree(steps), [{ 'argument_case x': [{ b: ['package b'] }] }])
    assert.deepEqual(
      args.map(({ value }) => value),
      ['b', '***'],
    )
    assert.ok(!JSON.stringify(args).includes('hunter2'))
  })

  it('keeps all cases of an argument that the run itself may set', () => {
    for (const setter of [
      'argument_set: {argument_name: x, value: b}',
      'all: [{script: {s: {output: x}}}]',
    ]) {
      const { steps } = describeText(
        `
arguments: {x: {default: a}}
validators:
  - ${setter}
  - argument_case: {argument_name: x, cases: {a: [], b: []}}
`,
        {},
      )
      assert.equal(steps[1]?.branches.length, 2, setter)
    }
  })

  it('is plain data', () => {
    const described = describeText('validators: [{package: a, when: "true"}]')
    assert.deepEqual(JSON.parse(JSON.stringify(described)).steps[0].when, 'true')
  })
})
