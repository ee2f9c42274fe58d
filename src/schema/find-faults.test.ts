import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type TSchema, Type } from 'typebox'
import { Check } from 'typebox/value'
import { findFaults } from './find-faults.ts'

const messages = (schema: TSchema, value: unknown) =>
  findFaults(schema, value).map(({ path, message }) => `${path.join('.')}: ${message}`)

const person = Type.Object(
  {
    name: Type.String({ minLength: 1, description: 'how to call it' }),
    mode: Type.Optional(
      Type.String({ pattern: '^0[0-7]{3}$', title: 'an octal mode, such as 0644' }),
    ),
    size: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
    state: Type.Optional(Type.Union([Type.Literal('enabled'), Type.Literal('disabled')])),
    tags: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  },
  { additionalProperties: false },
)

describe('findFaults', () => {
  it('says nothing of what has the shape', () => {
    assert.deepEqual(
      messages(person, { name: 'a', mode: '0644', size: 3, state: 'enabled', tags: ['x'] }),
      [],
    )
  })

  it('finds all faults in one go, each with its path', () => {
    assert.deepEqual(
      messages(person, { nmae: 'a', mode: 'rwx', size: 12, state: 'enable', tags: [] }),
      [
        "nmae: unknown key 'nmae'; did you mean 'name'?",
        'mode: wanted an octal mode, such as 0644, found "rwx"',
        'size: wanted 1 to 9, found 12',
        'state: wanted "enabled" or "disabled", found "enable"; did you mean \'enabled\'?',
        'tags: wanted at least 1 items, found 0',
        ": the key 'name' is missing (how to call it)",
      ],
    )
  })

  it('marks faults that are the key itself', () => {
    assert.deepEqual(
      findFaults(person, { name: 'a', x: 1 }).map(({ atKey }) => atKey),
      [true],
    )
  })

  it('names the known keys when none is near', () => {
    assert.deepEqual(messages(person, { name: 'a', colour: 'red' }), [
      "colour: unknown key 'colour'; wanted one of name, mode, size, state, tags",
    ])
  })

  it('says what was wanted and what was found, in words', () => {
    for (const [schema, value, expected] of [
      [Type.String(), 5, 'wanted a text, found the number 5'],
      [Type.String(), null, 'wanted a text, found nothing'],
      [Type.String({ minLength: 1 }), '', 'wanted a text, found an empty text'],
      [Type.String({ maxLength: 3 }), 'long', 'wanted at most 3 characters, found 4'],
      [Type.String({ maxLength: 3 }), '😀😀é!', 'wanted at most 3 characters, found 4'],
      [Type.Integer(), 1.5, 'wanted a whole number, found the number 1.5'],
      [Type.Number({ minimum: 2 }), 1, 'wanted at least 2, found 1'],
      [Type.Number({ maximum: 2 }), 3, 'wanted at most 2, found 3'],
      [Type.Boolean(), 'true', 'wanted true or false, found "true"'],
      [Type.Null(), 1, 'wanted nothing, found the number 1'],
      [Type.Array(Type.String()), { a: 1 }, 'wanted a list, found a mapping'],
      [Type.Object({}), ['a'], 'wanted a mapping, found a list of 1'],
      [
        Type.Record(Type.String(), Type.String(), { maxProperties: 1 }),
        { a: 'x', b: 'y' },
        'wanted at most 1 keys, found 2',
      ],
      [Type.Literal('a'), 'b', 'wanted "a", found "b"'],
      [
        Type.Union([Type.String(), Type.Array(Type.String())]),
        5,
        'wanted a text or a list, found the number 5',
      ],
    ] as const)
      assert.deepEqual(messages(schema, value), [`: ${expected}`])
  })

  it('shortens what was found', () => {
    assert.match(messages(Type.Boolean(), 'x'.repeat(500))[0] ?? '', /found "x{56}…$/)
  })

  it('explains a union by the branch that the value was meant for', () => {
    const schema = Type.Union([Type.String(), Type.Array(person)])
    assert.deepEqual(messages(schema, [{ name: 'a', sise: 2 }]), [
      "0.sise: unknown key 'sise'; did you mean 'size'?",
    ])
  })

  it('takes own keys only: a key like constructor is unknown', () => {
    const value = JSON.parse('{"name":"a","constructor":1,"__proto__":2}') as unknown
    assert.deepEqual(
      findFaults(person, value).map(({ path }) => path),
      [['constructor'], ['__proto__']],
    )
  })

  it('accepts exactly what TypeBox accepts', () => {
    const schemas = [
      person,
      Type.Union([person, Type.String(), Type.Array(Type.Union([Type.String(), person]))]),
      Type.Record(Type.String(), person, { minProperties: 1, maxProperties: 2 }),
      Type.Union([Type.Literal('enabled'), Type.Boolean(), Type.Null(), Type.Integer()]),
    ]
    const leaf = fc.oneof(
      fc.constantFrom('enabled', 'disabled', '0644', '', 'x', true, false, null, 0, 1, 9, 10, 1.5),
    )
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom('name', 'mode', 'size', 'state', 'tags', 'other'),
          tie('value'),
          { maxKeys: 4 },
        ),
      ),
    })).value
    fc.assert(
      fc.property(fc.constantFrom(...schemas), value, (schema, one) => {
        assert.equal(findFaults(schema, one).length === 0, Check(schema, one))
      }),
      { numRuns: 1000 },
    )
  })
})
