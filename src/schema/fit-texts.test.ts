import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type TSchema, Type } from 'typebox'
import { findFaults, type Path } from './find-faults.ts'
import { fitTexts } from './fit-texts.ts'

const written: Readonly<Record<string, string>> = { version: '1.10', '0': 'yes', 'a.b': '0x1f' }
const sourceOf = (path: Path) => written[path.join('.')]
const fit = (schema: TSchema, value: unknown) => fitTexts(schema, value, sourceOf)

describe('fitTexts', () => {
  it('takes a number as it is written where a text is wanted', () => {
    assert.deepEqual(fit(Type.Object({ version: Type.String() }), { version: 1.1 }), {
      version: '1.10',
    })
  })

  it('takes yes as the word yes where a text is wanted', () => {
    assert.deepEqual(fit(Type.Array(Type.String()), [true]), ['yes'])
  })

  it('does so within records and unions', () => {
    const schema = Type.Record(
      Type.String(),
      Type.Union([Type.Boolean(), Type.Object({ b: Type.String() })]),
    )
    assert.deepEqual(fit(schema, { a: { b: 31 }, c: true }), { a: { b: '0x1f' }, c: true })
  })

  it('leaves alone what has its place as it is', () => {
    assert.deepEqual(fit(Type.Union([Type.Boolean(), Type.String()]), true), true)
    assert.deepEqual(fit(Type.Integer(), 5), 5)
    assert.deepEqual(fit(Type.Object({}), { a: 1 }), { a: 1 })
  })

  it('leaves what does not fit for findFaults to complain about', () => {
    const schema = Type.Object({ a: Type.String() })
    assert.equal(findFaults(schema, fit(schema, { a: ['x'] })).length, 1)
    assert.equal(findFaults(schema, fit(schema, 5)).length, 1)
  })

  it('changes nothing that has the shape already', () => {
    const schema = Type.Object({
      a: Type.Optional(Type.Union([Type.String(), Type.Integer()])),
      b: Type.Optional(Type.Array(Type.String())),
    })
    const value = fc.record(
      { a: fc.oneof(fc.string(), fc.integer()), b: fc.array(fc.string()) },
      { requiredKeys: [] },
    )
    fc.assert(fc.property(value, (one) => assert.deepEqual(fit(schema, one), { ...one })))
  })
})
