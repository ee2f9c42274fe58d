/** Our makers of schemas make what TypeBox's make. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type as TypeBox } from 'typebox'
import { Type } from './type.ts'

type Makers = typeof Type

const texts = { minLength: 1, description: 'a text' }

const CASES: Readonly<Record<string, (type: Makers) => unknown>> = {
  'a text': (type) => type.String(texts),
  'a bare text': (type) => type.String(),
  'numbers with bounds': (type) => [type.Integer({ minimum: 1 }), type.Number({ maximum: 2 })],
  'true, false and nothing': (type) => [type.Boolean({ description: 'd' }), type.Null()],
  'literals of each kind': (type) => [type.Literal('a', { title: 't' }), type.Literal(3), type.Literal(true)], // prettier-ignore
  'a union': (type) => type.Union([type.String(), type.Null()], { description: 'd' }),
  'a list': (type) => type.Array(type.String(texts), { minItems: 1 }),
  'a list of what may be left out': (type) => type.Array(type.Optional(type.String())),
  'a record with names of any kind': (type) => type.Record(type.String(), type.Number(), { maxProperties: 1 }), // prettier-ignore
  'a record with names by pattern': (type) => type.Record(type.String({ pattern: '^[a-z]+$' }), type.Null()), // prettier-ignore
  'a schema of our own': (type) => type.Unsafe<string>({ $ref: '#/$defs/steps' }),
  'a mapping of which all must be there': (type) =>
    type.Object({ a: type.String(), b: type.Null() }),
  'a mapping of which nothing must be there': (type) => type.Object({ a: type.Optional(type.String()) }), // prettier-ignore
  'a mapping in a mapping': (type) =>
    type.Object(
      {
        must: type.Object(
          { inner: type.Optional(type.Boolean()) },
          { additionalProperties: false },
        ),
        may: type.Optional(type.Union([type.Literal('x'), type.Integer()], { description: 'd' })),
      },
      { additionalProperties: false, description: 'd' },
    ),
}

for (const [name, make] of Object.entries(CASES))
  test(`makes ${name} as TypeBox does`, () => {
    assert.equal(JSON.stringify(make(Type)), JSON.stringify(make(TypeBox)))
  })

test('takes schemas of TypeBox, and TypeBox takes ours', () => {
  const expected = JSON.stringify(Type.Object({ a: Type.Optional(Type.String()) }))
  assert.equal(JSON.stringify(Type.Object({ a: TypeBox.Optional(TypeBox.String()) })), expected)
  assert.equal(JSON.stringify(TypeBox.Object({ a: Type.Optional(Type.String()) })), expected)
})

test('does not make a schema optional for others who use it', () => {
  const shared = Type.String()
  Type.Optional(shared)
  assert.deepEqual(Type.Object({ shared }).required, ['shared'])
})
