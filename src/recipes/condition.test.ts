import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { toFacts } from '../remotes/facts.ts'
import { failsWith } from '../testing/fails-with.ts'
import { ArgumentValues } from './argument-values.ts'
import { parseCondition } from './condition.ts'

const FACTS = toFacts('ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n', 'x86_64')

function holds(text: string, values: Record<string, string> = {}, place = 'image' as const) {
  const args = new ArgumentValues()
  for (const [name, value] of Object.entries(values)) args.set(name, value)
  return parseCondition(text).holds(args, FACTS, place)
}

describe('a condition', () => {
  it('compares arguments', () => {
    assert.equal(holds("args.java == 'openjdk'", { java: 'openjdk' }), true)
    assert.equal(holds("args.java == 'openjdk'", { java: 'oracle' }), false)
    assert.equal(holds("args['java-distro'] != ''", { 'java-distro': 'x' }), true)
    assert.equal(holds("args.a.startsWith('x') && size(args.a) > 2", { a: 'xyz' }), true)
  })

  it('asks for facts and for the place', () => {
    assert.equal(holds("facts.distro in ['debian', 'ubuntu']"), true)
    assert.equal(holds("facts.family == 'debian' && facts.version == '24.04'"), true)
    assert.equal(holds("facts.codename == 'noble' || facts.architecture == 'aarch64'"), true)
    assert.equal(holds("place == 'host'"), false)
  })

  it('asks whether an argument is there', () => {
    assert.equal(holds("has(args.x) && args.x == 'a'"), false)
    assert.equal(holds("'x' in args", { x: '' }), true)
  })

  it('names the arguments that it looks at', () => {
    assert.deepEqual(parseCondition("args.a == args['b'] || facts.distro == 'x'").uses, ['a', 'b'])
  })

  it('fails when it asks for an argument without a value', () => {
    assert.throws(() => holds("args.x == 'a'"), failsWith('ARGUMENT_INVALID'))
  })

  it('must give true or false', () => {
    assert.throws(() => parseCondition('args.x'), /gives a string; wanted true or false/)
    assert.throws(() => parseCondition("args.x == 'a' ? 1 : 2"), /gives a int/)
  })

  it('is refused when it cannot be read or compares what cannot be compared', () => {
    for (const text of [
      '',
      'args.x ==',
      "args.x = 'a'",
      'args.x == 1',
      'now() > 1',
      'import("fs")',
    ])
      assert.throws(() => parseCondition(text), /^Error: the condition /, text)
  })

  it('knows nothing but args, facts and place', () => {
    assert.throws(() => parseCondition('process.env.HOME == ""'), /Unknown variable: process/)
    assert.throws(
      () => parseCondition("facts.distr == 'x'"),
      /asks for facts\.distr; did you mean 'distro'\?/,
    )
  })

  it('hints at how arguments with a dash are written', () => {
    assert.throws(() => parseCondition("args.java-distro == 'x'"), /args\['java-distro'\]/)
  })

  it('has no patterns and no deep loops, which could take for ever', () => {
    assert.throws(() => parseCondition("args.x.matches('(a+)+$')"), /have no `matches`/)
    assert.throws(() => parseCondition("matches(args.x, 'a')"), /have no `matches`/)
    assert.equal(holds('[1, 2].all(a, [3].exists(b, b > a))'), true)
    assert.throws(
      () => parseCondition('[1].all(a, [1].all(b, [1].all(c, a == b)))'),
      /loop in a loop in a loop/,
    )
  })

  it('is bounded in size', () => {
    assert.throws(() => parseCondition(Array(600).fill('true').join(' && ')), /the condition/)
    assert.throws(() => parseCondition('('.repeat(5000) + 'true' + ')'.repeat(5000)))
  })

  it('is read or refused, whatever its text', () => {
    const word = fc.constantFrom(
      ...'args facts place . x == != && || ! ( ) [ ] { } , ? : in has size "a" 1 -'.split(' '),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        try {
          assert.ok(parseCondition(words.join(' ')))
        } catch (error) {
          assert.match(String(error), /^Error: (the condition|conditions) /)
        }
      }),
    )
  })
})
