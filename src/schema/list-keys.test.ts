import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Type } from 'typebox'
import { listKeys, nameShape } from './list-keys.ts'

describe('listKeys', () => {
  it('lists keys in order, with what they take, whether they are needed, and what they mean', () => {
    const schema = Type.Object({
      path: Type.String({ title: 'an absolute path', description: 'where it lies' }),
      mode: Type.Optional(Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Integer()])),
    })
    assert.deepEqual(listKeys(schema), [
      { key: 'path', value: 'an absolute path', required: true, meaning: 'where it lies' },
      { key: 'mode', value: '`on`, `off` or whole number', required: false, meaning: '' },
    ])
  })

  it('calls nothing needed that has a default', () => {
    const schema = Type.Object({ size: Type.Integer({ default: 512 }), name: Type.String() })
    assert.deepEqual(
      listKeys(schema).map(({ key, required }) => [key, required]),
      [
        ['size', false],
        ['name', true],
      ],
    )
  })

  it('goes into nested mappings, lists, and mappings of any names', () => {
    const inner = Type.Object({ url: Type.String() })
    const schema = Type.Object({
      key: inner,
      all: Type.Array(inner),
      by: Type.Record(Type.String(), inner),
    })
    assert.deepEqual(
      listKeys(schema).map(({ key, value }) => [key, value]),
      [
        ['key', 'mapping'],
        ['key.url', 'text'],
        ['all', 'list: mapping'],
        ['all[].url', 'text'],
        ['by', 'mapping of names to mapping'],
        ['by.NAME.url', 'text'],
      ],
    )
  })

  it('lists a key once that stands in several forms of a value', () => {
    const form = Type.Object({ a: Type.String() })
    assert.equal(listKeys(Type.Union([form, Type.Array(form), Type.String()])).length, 1)
  })
})

describe('nameShape', () => {
  it('joins what may stand in a place with or', () => {
    assert.equal(
      nameShape(Type.Union([Type.Boolean(), Type.String(), Type.String()])),
      'true or false or text',
    )
    assert.equal(nameShape(Type.Array(Type.String())), 'list: text')
  })
})
