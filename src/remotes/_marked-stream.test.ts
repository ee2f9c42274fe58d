import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { MarkedStream } from './_marked-stream.ts'

/** Parts of a stream as bytes, and as they should be told apart: content joined, marks alone. */
const anyPart = fc.oneof(
  fc.uint8Array({ maxLength: 20 }).map((content) => Buffer.from(content)),
  fc.constantFrom('\x1e', '\x1enonc', '\x1e\x1enon', 'nonsense\n').map((text) => Buffer.from(text)),
  fc.stringMatching(/^[a-z0-9 ]{0,10}$/),
)

describe('a marked stream', () => {
  it('tells marks from content, in whatever pieces it comes', () => {
    fc.assert(
      fc.property(fc.array(anyPart), fc.integer({ min: 1, max: 30 }), (parts, size) => {
        const bytes = Buffer.concat(
          parts.map((part) =>
            typeof part === 'string' ? Buffer.from(`\x1enonce ${part}\n`) : part,
          ),
        )
        const stream = new MarkedStream('nonce')
        const found: (Buffer | string)[] = []
        for (let at = 0; at < bytes.length; at += size)
          found.push(...stream.push(bytes.subarray(at, at + size)))
        found.push(stream.end())
        assert.deepEqual(joined(found), joined(parts))
      }),
    )
  })

  it('gives what cannot belong to a mark at once', () => {
    const stream = new MarkedStream('nonce')
    assert.deepEqual(stream.push(Buffer.from('a\n')), [Buffer.from('a\n')])
    assert.deepEqual(stream.push(Buffer.from('b\x1eno')), [Buffer.from('b')])
    assert.deepEqual(stream.push(Buffer.from('thing')), [Buffer.from('\x1enothing')])
  })

  it('does not let a mark grow without end', () => {
    const stream = new MarkedStream('nonce')
    const parts = stream.push(Buffer.from(`\x1enonce ${'x'.repeat(10_000)}`))
    assert.equal(typeof parts[0], 'string')
    assert.ok(stream.end().length === 0)
  })
})

/** Runs of content as one text, marks in brackets. */
function joined(parts: readonly (Buffer | string)[]): string {
  return parts
    .map((part) => (typeof part === 'string' ? `[${part}]` : part.toString('latin1')))
    .join('')
}
