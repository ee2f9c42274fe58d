import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { Mask } from './_mask.ts'

function maskOf(...secrets: string[]): Mask {
  const mask = new Mask()
  for (const secret of secrets) mask.add(secret)
  return mask
}

/** As a log does it: what may be the beginning of a secret waits for what follows. */
function inPieces(mask: Mask, pieces: readonly string[]): string {
  let held = ''
  let shown = ''
  for (const piece of pieces) {
    held += piece
    const open = mask.openEnd(held)
    shown += mask.apply(held.slice(0, open))
    held = held.slice(open)
  }
  return shown + mask.apply(held)
}

describe('a mask', () => {
  it('hides a secret as it is, in addresses, in JSON and line by line', () => {
    const mask = maskOf('p@ss "word"', '-----BEGIN KEY-----\nAAAABBBBCCCCDDDD\n-----END KEY-----')
    assert.equal(mask.apply('with p@ss "word"!'), 'with ***!')
    assert.equal(
      mask.apply(`https://me:${encodeURIComponent('p@ss "word"')}@x`),
      'https://me:***@x',
    )
    assert.equal(mask.apply(JSON.stringify('p@ss "word"')), '"***"')
    assert.equal(mask.apply('AAAABBBBCCCCDDDD\r\n'), '***\r\n')
  })

  it('leaves words alone that are too short to be secrets', () => {
    assert.equal(maskOf('no').apply('nonsense'), 'nonsense')
  })

  it('hides the longer of two secrets', () => {
    assert.equal(inPieces(maskOf('pass', 'password'), ['a pass', 'word b']), 'a *** b')
  })

  it('hides secrets in whatever pieces they come', () => {
    const secret = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 6 })
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 3 }),
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })),
        (secrets, pieces) => {
          const mask = maskOf(...secrets)
          const shown = inPieces(mask, pieces)
          for (const one of secrets) assert.ok(!shown.includes(one), shown)
        },
      ),
    )
  })

  it('hides secrets of any size and number, also where they overlap', () => {
    const script = Array.from({ length: 20_000 }, (_, at) => `echo password ${at} | passwd`).join(
      '\n',
    )
    const mask = maskOf(script, 'a'.repeat(1_000_000), 'overlap', 'lapping')
    assert.match(mask.apply(script), /^(\*{3}|\n)*$/)
    assert.equal(mask.apply('x\necho password 777 | passwd\r\n'), 'x\n***\r\n')
    assert.match(inPieces(mask, ['a'.repeat(70_000), 'a'.repeat(930_000)]), /^\*+$/)
    assert.equal(mask.apply('overlapping'), '***')
  })

  it('hides secrets in structures', () => {
    assert.deepEqual(maskOf('secret').applyTo({ a: ['my secret', 1, null] }), {
      a: ['my ***', 1, null],
    })
  })
})
