import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseImageFactoryWords } from './_imagefactory-words.ts'

describe('words of Image Factory', () => {
  it('may stand in any order, with two words behind a parameter', () => {
    const argv = ['--parameter', 'size', '5', 'base_image', '--timeout=7', 'x.tdl', '-v']
    const words = parseImageFactoryWords(argv)
    assert.deepEqual([words.subcommand, words.operands], ['base_image', ['x.tdl']])
    assert.deepEqual(words.parameters, [['size', '5']])
    assert.deepEqual(words.values, new Map([['timeout', '7']]))
    assert.deepEqual(words.switches, new Set(['verbose']))
  })

  for (const [argv, told] of [
    [[], /wanted one of base_image, .*, found none/],
    [['bas_image'], /wanted one of base_image, .*, found 'bas_image'/],
    [['base_image'], /base_image wants TEMPLATE behind it/],
    [['plugins', 'os'], /plugins wants nothing behind it/],
    [['plugins', '--tempate', 'x'], /no flag '--tempate'; did you mean 'template'/],
    [['plugins', '--parameter', 'size'], /--parameter wants 2 words behind it/],
    [['plugins', '--id'], /--id wants one word behind it/],
  ] as const)
    it(`are refused with what was wanted: ${argv.join(' ') || 'none'}`, () => {
      assert.throws(() => parseImageFactoryWords(argv), told)
    })
})
