import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Failure } from '../base/failure.ts'
import { resolveArguments, toVariable } from './argument-values.ts'
import type { Argument } from './recipe.ts'

const argument = (name: string, parts: Partial<Argument> = {}): Argument => ({
  name,
  variable: toVariable(name),
  description: '',
  default: undefined,
  required: false,
  choices: undefined,
  secret: false,
  place: { file: 'r.yaml', line: 1, column: 1 },
  ...parts,
})
const resolve = (declared: Argument[], given: Record<string, string> = {}) =>
  resolveArguments(declared, new Map(Object.entries(given)))
const faultsOf = (declared: Argument[], given: Record<string, string> = {}) => {
  try {
    resolve(declared, given)
  } catch (error) {
    assert.ok(error instanceof Failure)
    assert.equal(error.code, 'ARGUMENT_INVALID')
    return error.message.split('\n')
  }
  return []
}

describe('the value of an argument', () => {
  it('is the one given, else the default', () => {
    const declared = [argument('a', { default: 'x' })]
    assert.equal(resolve(declared).get('a'), 'x')
    assert.equal(resolve(declared, { a: '' }).get('a'), '')
  })

  it('must be given when it is required, whatever its default', () => {
    assert.deepEqual(
      faultsOf([argument('a', { required: true, default: 'x', description: 'which a' })]),
      ["argument 'a' is required (which a)"],
    )
  })

  it('must be one of the choices', () => {
    const declared = [argument('java', { default: 'openjdk', choices: ['openjdk', 'oracle'] })]
    assert.deepEqual(faultsOf(declared, { java: 'opnjdk' }), [
      "argument 'java' must be one of openjdk, oracle; found 'opnjdk'; did you mean 'openjdk'?",
    ])
  })

  it('must be declared', () => {
    assert.deepEqual(faultsOf([argument('java', { default: 'x' })], { jave: 'y' }), [
      "the recipe has no argument 'jave'; did you mean 'java'?",
    ])
    assert.deepEqual(faultsOf([], { a: 'y' }), ["the recipe has no argument 'a'; it has none"])
  })

  it('has no NUL byte, which no environment can carry', () => {
    assert.equal(faultsOf([argument('a', { default: 'x' })], { a: 'a\0b' }).length, 1)
  })

  it('that is wrong is said with all the others', () => {
    const declared = [argument('a', { required: true }), argument('b', { required: true })]
    assert.equal(faultsOf(declared, { c: 'x' }).length, 3)
  })

  it('is called in scripts by its variable', () => {
    const values = resolve([argument('java-distro', { default: 'x', variable: 'JAVA' })])
    assert.equal(values.variableOf('java-distro'), 'JAVA')
    assert.equal(values.variableOf('made-by-script'), 'made_by_script')
  })
})

describe('toVariable', () => {
  it('makes a name that a shell takes, of any name', () => {
    assert.equal(toVariable('java-distro'), 'java_distro')
    assert.equal(toVariable('2nd'), '_2nd')
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) =>
        /^[A-Za-z_][A-Za-z0-9_]*$/.test(toVariable(name)),
      ),
    )
  })
})

describe('a secret', () => {
  const secret = argument('password', { required: true, secret: true })

  it('is shown as *** and masked in every text', () => {
    const values = resolve([secret, argument('user', { default: 'root' })], { password: 'hunter2' })
    assert.deepEqual(values.masked(), { password: '***', user: 'root' })
    assert.equal(values.mask('login hunter2@host: hunter2!'), 'login ***@host: ***!')
  })

  it('of several lines is masked line by line too', () => {
    const values = resolve([secret], { password: 'first line\r\nsecond line' })
    assert.equal(values.mask('x second line y'), 'x *** y')
  })

  it('that holds another secret is masked whole', () => {
    const values = resolve([secret, { ...secret, name: 'other' }], {
      password: 'key',
      other: 'key-and-more',
    })
    assert.equal(values.mask('is key-and-more'), 'is ***')
  })

  it('stays masked after a step has given the argument another value', () => {
    const values = resolve([secret], { password: 'hunter2' })
    values.set('password', 'swordfish')
    assert.equal(values.mask('hunter2 swordfish'), '*** ***')
  })

  it('is not shown when it is refused', () => {
    const [fault] = faultsOf([{ ...secret, choices: ['a', 'b'] }], { password: 'hunter2' })
    assert.equal(fault, "argument 'password' must be one of a, b; found something else")
  })

  it('appears in no masked text, whatever it is', () => {
    const text = fc.string({ minLength: 3, unit: 'grapheme' })
    fc.assert(
      fc.property(text, fc.string(), fc.string(), (value, before, after) => {
        fc.pre(!value.includes('*'))
        const masked = resolve([secret], { password: value.replaceAll('\0', '') }).mask(
          before + value + after,
        )
        assert.ok(value.includes('\0') || !masked.includes(value))
      }),
    )
  })
})
