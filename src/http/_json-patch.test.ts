import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { anything, array, assert as check, jsonValue, property, string } from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { dialectOf, parsePatch, parsePointer } from './_json-patch.ts'

const escape = (token: string) => token.replaceAll('~', '~0').replaceAll('/', '~1')

describe('a pointer', () => {
  it('is steps behind slashes, with ~0 and ~1 for what they are made of', () => {
    assert.deepEqual(parsePointer('/name'), ['name'])
    assert.deepEqual(parsePointer('/locations/-'), ['locations', '-'])
    assert.deepEqual(parsePointer('/a~1b~0c~01'), ['a/b~c~1'])
  })

  it('has no empty steps, and no other use for ~', () => {
    for (const pointer of ['', 'name', '/', '//', '/a//b', '/a/', '/a/ /b', '/~', '/~2', '/a~'])
      assert.throws(() => parsePointer(pointer), failsWith('REQUEST_INVALID'), pointer)
  })

  it('is read back as it was written, whatever names are made of', () => {
    const token = string({ minLength: 1, maxLength: 20, unit: 'binary' }).filter(
      (text) => text.trim() !== '',
    )
    check(
      property(array(token, { minLength: 1, maxLength: 4 }), (tokens) => {
        assert.deepEqual(parsePointer(`/${tokens.map(escape).join('/')}`), tokens)
      }),
    )
  })
})

const read = (...steps: object[]) => parsePatch(steps, 'draft10')

describe('a patch', () => {
  it('adds, replaces and removes', () => {
    assert.deepEqual(
      read(
        { op: 'add', path: '/a', value: '1' },
        { op: 'replace', path: '/name', value: null },
        { op: 'remove', path: '/b' },
      ),
      [
        { operation: 'add', name: 'a', place: undefined, value: '1' },
        { operation: 'replace', name: 'name', place: undefined, value: null },
        { operation: 'remove', name: 'b', place: undefined, value: undefined },
      ],
    )
  })

  it('of the older kind names its operation by a member', () => {
    assert.deepEqual(parsePatch([{ add: '/a', value: '1' }], 'draft4'), [
      { operation: 'add', name: 'a', place: undefined, value: '1' },
    ])
    for (const step of [
      { add: '/a', remove: '/a', value: '' },
      { value: '' },
      { add: 1, value: '' },
    ])
      assert.throws(() => parsePatch([step], 'draft4'), failsWith('REQUEST_INVALID'))
  })

  it('goes one step into an image, and two into its locations', () => {
    assert.equal(read({ op: 'add', path: '/locations/-', value: {} })[0]?.place, '-')
    assert.equal(read({ op: 'remove', path: '/locations/0' })[0]?.place, '0')
    assert.equal(read({ op: 'replace', path: '/locations', value: [] })[0]?.place, undefined)
    for (const step of [
      { op: 'add', path: '/tags/-', value: 'x' },
      { op: 'add', path: '/a/b', value: 'x' },
      { op: 'add', path: '/locations', value: [] },
      { op: 'replace', path: '/locations/0', value: {} },
      { op: 'remove', path: '/locations' },
      { op: 'remove', path: '/locations/0/url' },
    ])
      assert.throws(() => read(step), failsWith('REQUEST_INVALID'), step.path)
  })

  it('does nothing else, and needs what it needs', () => {
    for (const step of [
      { op: 'move', path: '/a', from: '/b' },
      { op: 'test', path: '/a', value: 'x' },
      { op: 'add', path: '/a' },
      { path: '/a', value: 'x' },
      { op: 'add', value: 'x' },
      { op: ['add'], path: '/a', value: 'x' },
    ])
      assert.throws(() => read(step), failsWith('REQUEST_INVALID'), JSON.stringify(step))
    for (const body of [{}, 'x', null, [1], [[]], [null]])
      assert.throws(() => parsePatch(body, 'draft10'), failsWith('REQUEST_INVALID'))
  })

  it('is read, or refused in so many words, whatever it holds', () => {
    check(
      property(jsonValue(), anything(), (value, thing) => {
        for (const body of [value, [value], [{ op: 'add', path: value, value }], thing])
          for (const dialect of ['draft4', 'draft10'] as const)
            try {
              parsePatch(body, dialect)
            } catch (error) {
              assert.ok(isFailure(error, 'REQUEST_INVALID'), String(error))
            }
      }),
    )
  })

  it('comes in one of two media types', () => {
    assert.equal(dialectOf('application/openstack-images-v2.1-json-patch'), 'draft10')
    assert.equal(dialectOf('Application/OpenStack-images-v2.0-json-patch; charset=utf-8'), 'draft4')
    for (const type of [
      undefined,
      '',
      'application/json',
      'application/json-patch+json',
      'toString',
    ])
      assert.throws(() => dialectOf(type), failsWith('MEDIA_TYPE_UNSUPPORTED'))
  })
})
