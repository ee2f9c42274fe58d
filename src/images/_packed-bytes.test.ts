import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as check, property, uint8Array } from 'fast-check'
import { MiB } from '../base/units.ts'
import { packBytes, unpackBytes } from './_packed-bytes.ts'

describe('what is kept beside a record', () => {
  it('comes back as it was, also if it looks as if it were packed', () => {
    check(
      property(uint8Array({ maxLength: 3000 }), (bytes) => {
        const frame = Buffer.concat([Buffer.from('28b52ffd', 'hex'), bytes])
        for (const one of [bytes, frame])
          assert.deepEqual(Buffer.from(unpackBytes(packBytes(one))), Buffer.from(one))
      }),
    )
  })

  it('takes little room when it says little, as the map of an empty disk of terabytes does', () => {
    assert.ok(packBytes(Buffer.alloc(32 * MiB)).length < 16 * 1024)
  })
})
