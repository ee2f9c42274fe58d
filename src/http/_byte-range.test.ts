import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as check, property, string, integer, nat } from 'fast-check'
import { parseRange } from './_byte-range.ts'

describe('a Range header', () => {
  it('names a range with both ends included, one without end, or the last bytes', () => {
    assert.deepEqual(parseRange('bytes=0-0', 100), { kind: 'part', from: 0, to: 1 })
    assert.deepEqual(parseRange('bytes=10-', 100), { kind: 'part', from: 10, to: 100 })
    assert.deepEqual(parseRange('bytes=-10', 100), { kind: 'part', from: 90, to: 100 })
    assert.deepEqual(parseRange('BYTES= 5-9 ', 100), { kind: 'part', from: 5, to: 10 })
  })

  it('is cut at the end of the content', () => {
    assert.deepEqual(parseRange('bytes=90-1000', 100), { kind: 'part', from: 90, to: 100 })
    assert.deepEqual(parseRange('bytes=-1000', 100), { kind: 'part', from: 0, to: 100 })
    const huge = '9'.repeat(400)
    assert.deepEqual(parseRange(`bytes=7-${huge}`, 100), { kind: 'part', from: 7, to: 100 })
  })

  it('is impossible when nothing of it is inside', () => {
    for (const header of ['bytes=100-', 'bytes=200-300', 'bytes=-0'])
      assert.deepEqual(parseRange(header, 100), { kind: 'impossible' })
    assert.deepEqual(parseRange('bytes=0-', 0), { kind: 'impossible' })
  })

  it('means the whole when it is none, is several, or is of another unit', () => {
    for (const header of [
      undefined,
      '',
      'bytes=',
      'bytes=-',
      'bytes=5-4',
      'lines=0-5',
      'bytes=0-1,5-6',
    ])
      assert.deepEqual(parseRange(header, 100), { kind: 'whole' })
  })

  it('never names bytes outside the content, whatever it says', () => {
    check(
      property(string(), integer(), integer(), nat(), (text, first, last, length) => {
        for (const header of [text, `bytes=${text}`, `bytes=${first}-${last}`]) {
          const wanted = parseRange(header, length)
          if (wanted.kind === 'part')
            assert.ok(0 <= wanted.from && wanted.from < wanted.to && wanted.to <= length)
        }
      }),
    )
  })
})
