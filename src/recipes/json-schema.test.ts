import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Compile } from 'typebox/schema'
import { parse } from 'yaml'
import { builtinValidators } from '../app/builtin.ts'
import { recipeJsonSchema } from './json-schema.ts'

const schema = recipeJsonSchema(builtinValidators)
const compiled = Compile(schema)
const fits = (text: string) => compiled.Check(parse(text, { version: '1.1', stringKeys: true }))

describe('the JSON Schema of recipes', () => {
  it('accepts what the parser accepts: every example of every validator', () => {
    for (const { name, example } of builtinValidators) {
      const steps = example.trim().replaceAll(/^/gm, '  ')
      assert.equal(fits(`validators:\n${steps}\n`), true, name)
    }
  })

  it('accepts the shipped recipe, and Sahara’s numbers and empty bodies', () => {
    const file = join(import.meta.dirname, '../../recipes/web-server.yaml')
    assert.equal(fits(readFileSync(file, 'utf8')), true)
    assert.equal(
      fits(`
arguments:
  version: {default: 1.5, choices: [1.5, 2], required: False, hidden: True}
  nothing:
validators:
  - os_case: [{redhat: [{package: [a, {b: {version: 1}}]}]}]
  - argument_case: {argument_name: version, cases: {1.5: []}}
`),
      true,
    )
  })

  it('refuses misspelt keys, wrong kinds and two validators in one step, at any depth', () => {
    for (const text of [
      'validator: []',
      'arguments: {}',
      'validators: {}',
      'validators: [nginx]',
      'validators: [{pakage: a}]',
      'validators: [{package: a, script: b}]',
      'validators: [{package: a, on: images}]',
      'validators: [{package: {a: {versoin: 1}}}]',
      'validators: [{any: [{all: [{pakage: a}]}]}]',
      'validators: [{os_case: [{debian: [{pakage: a}]}]}]',
      'validators: [{argument_case: {argument_name: a, cases: {b: [{pakage: a}]}}}]',
      'arguments: {a: {defualt: b}}\nvalidators: []',
      'arguments: {1a: {default: b}}\nvalidators: []',
      'tests: [{pakage: a}]\nvalidators: []',
    ])
      assert.equal(fits(text), false, text)
  })

  it('explains each validator to editors, with its example', () => {
    const { $defs } = schema as {
      $defs: { step: { properties: Record<string, { markdownDescription?: string }> } }
    }
    for (const { name, summary, example } of builtinValidators) {
      const shown = $defs.step.properties[name]?.markdownDescription ?? ''
      assert.ok(shown.includes(summary), name)
      assert.ok(shown.includes(example.trim()), name)
    }
  })

  it('refers to nothing that is not in it', () => {
    const text = JSON.stringify(schema)
    const known = Object.keys((schema as { $defs: object }).$defs).map((one) => `#/$defs/${one}`)
    for (const [, reference = ''] of text.matchAll(/"\$ref":"([^"]*)"/g))
      assert.ok(known.includes(reference), reference)
  })
})
