import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parsePattern } from './_python-pattern.ts'

describe('a pattern that was written for Python', () => {
  it('is found anywhere in a text, unless it is anchored', () => {
    assert.ok(parsePattern('b.d').test('abcde'))
    assert.ok(!parsePattern('^b.d').test('abcde'))
  })

  it('may have flags at its beginning, anchors and named groups of Python’s', () => {
    assert.ok(parsePattern('(?i)^X_').test('x_1'))
    assert.ok(!parsePattern('\\Ax\\Z').test('xy'))
    assert.ok(parsePattern('\\Ax\\Z').test('x'))
    assert.ok(parsePattern('(?P<a>.)(?P=a)').test('bb'))
    assert.ok(!parsePattern('(?P<a>.)(?P=a)').test('bc'))
    assert.ok(parsePattern('^\\w+\\.\\d$').test('a_b.1'))
    assert.ok(parsePattern('^\\\\A').test('\\A'), 'an escaped backslash is one')
  })

  it('is refused when it would mean something else here', () => {
    for (const text of ['(?x) a', '\\a', '(?P>a)', '(?#c)', '(?(1)a|b)', '(', '[', '(?P<a', '*'])
      assert.throws(() => parsePattern(text), SyntaxError, text)
  })
})
