import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TSchema } from 'typebox'
import { parseRecipe } from '../recipes/parse-recipe.ts'
import { builtinValidators, validatorMap } from './builtin.ts'

describe('the built-in validators', () => {
  it('are Sahara’s eight, then ours, each under a name of its own', () => {
    const names = builtinValidators.map(({ name }) => name)
    assert.deepEqual(
      names.slice(0, 8).join(' '),
      'package script copy_script any all os_case argument_case argument_set',
    )
    assert.equal(validatorMap().size, names.length)
  })

  for (const validator of builtinValidators) {
    it(`${validator.name}: its example loads without any fault`, () => {
      const { faults } = parseRecipe(
        `arguments:\n${['port', 'java', 'java_distro', 'name'].map((name) => `  ${name}: {default: "1"}\n`).join('')}validators:\n${validator.example.trim()}\n`,
        {
          file: `${validator.name}.yaml`,
          resourceRoots: [],
          validators: validatorMap(),
          readResource: () => Buffer.from('#!/bin/sh\n[ "$test_only" = 1 ]\n'),
        },
      )
      assert.deepEqual(
        // Every example is given every argument, so most are of no use to it.
        faults
          .map(({ place, message }) => `${place.line}: ${message}`)
          .filter((text) => !text.includes('no step looks at')),
        [],
      )
    })

    it(`${validator.name}: every key says what it is for`, () => {
      assert.deepEqual(keysWithoutWords(validator.schema, validator.name), [])
      assert.match(validator.summary, /^[a-zâ-ž“].*[^.]$/)
    })
  }
})

interface Shape {
  anyOf?: Shape[]
  items?: Shape
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  description?: string
}

/** Paths of properties that have no description, at any depth. */
function keysWithoutWords(schema: TSchema, path: string): string[] {
  const shape: Shape = schema
  return [
    ...(shape.anyOf ?? []).flatMap((branch) => keysWithoutWords(branch, path)),
    ...(shape.items ? keysWithoutWords(shape.items, path) : []),
    ...Object.values(shape.patternProperties ?? {}).flatMap((one) => keysWithoutWords(one, path)),
    ...Object.entries(shape.properties ?? {}).flatMap(([key, member]) => [
      ...(member.description === undefined ? [`${path}.${key}`] : []),
      ...keysWithoutWords(member, `${path}.${key}`),
    ]),
  ]
}
