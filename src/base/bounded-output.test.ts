import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { BoundedOutput } from './bounded-output.ts'

describe('bounded output', () => {
  it('keeps what fits, byte for byte, in whatever pieces it comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
        const whole = Buffer.concat(pieces)
        const output = new BoundedOutput(Math.max(2, whole.length))
        for (const piece of pieces) output.add(piece)
        assert.deepEqual(output.toBuffer(), whole)
      }),
    )
  })

  it('keeps the beginning and the end of more, and says how much is missing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 400 }),
        fc.uint8Array({ minLength: 900 }),
        (limit, all) => {
          const output = new BoundedOutput(limit)
          for (let at = 0; at < all.length; at += 7) output.add(all.subarray(at, at + 7))
          const text = output.toBuffer().toString('latin1')
          const missing = /\n\[\u00e2\u0080\u00a6 (\d+) bytes left out/.exec(text)
          const half = Math.floor(limit / 2)
          assert.equal(text.slice(0, half), Buffer.from(all).toString('latin1', 0, half))
          assert.equal(text.slice(-half), Buffer.from(all).toString('latin1', all.length - half))
          assert.ok(Number(missing?.[1]) >= all.length - 2 * limit)
        },
      ),
    )
  })
})
