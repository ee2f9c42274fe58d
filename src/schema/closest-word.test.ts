import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { closestWord } from './closest-word.ts'

const VALIDATORS = ['package', 'script', 'copy_script', 'any', 'all', 'os_case', 'argument_case']

describe('closestWord', () => {
  it('finds a word with letters wrong, missing, doubled or swapped', () => {
    for (const [wrong, right] of [
      ['pakage', 'package'],
      ['packagge', 'package'],
      ['pcakage', 'package'],
      ['Package', 'package'],
      ['argument-case', 'argument_case'],
      ['os_csae', 'os_case'],
      ['al', 'all'],
    ] as const)
      assert.equal(closestWord(wrong, VALIDATORS), right)
  })

  it('finds nothing when no word is near', () => {
    assert.equal(closestWord('firewall', VALIDATORS), undefined)
    assert.equal(closestWord('x', ['y']), undefined)
    assert.equal(closestWord('anything', []), undefined)
  })

  it('takes the nearest of several', () => {
    assert.equal(closestWord('scrpt', ['copy_script', 'strip', 'script']), 'script')
  })

  it('gives back every known word for itself', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z_]{1,20}$/), { minLength: 1 }), (words) =>
        words.every((word) => closestWord(word, words) === word),
      ),
    )
  })

  it('ends quickly on words of any length', () => {
    assert.equal(closestWord('a'.repeat(100_000), ['b'.repeat(100_000)]), undefined)
  })
})
