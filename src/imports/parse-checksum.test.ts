import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as check, anything, property } from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseChecksum } from './parse-checksum.ts'

const VALUE = 'AB'.repeat(32)

describe('a checksum', () => {
  it('is a digest and its value, as a text or an object', () => {
    const sha256 = { algorithm: 'sha256', value: VALUE.toLowerCase() }
    assert.deepEqual(parseChecksum(`sha256:${VALUE}`), sha256)
    assert.deepEqual(parseChecksum({ algorithm: 'SHA-256', value: VALUE }), sha256)
    assert.equal(parseChecksum(undefined), undefined)
  })

  it('is refused when nobody knows the digest, or it has another length', () => {
    for (const given of ['', VALUE, `crc:${VALUE}`, 'sha256:abc', `sha512:${VALUE}`, 7, {}])
      assert.throws(() => parseChecksum(given), failsWith('REQUEST_INVALID'))
    const zeros = { algorithm: 'sha256', value: 'g'.repeat(64) }
    assert.throws(() => parseChecksum(zeros), failsWith('REQUEST_INVALID'))
  })

  it('is understood or refused, whatever is given', () => {
    check(
      property(anything(), (given) => {
        try {
          parseChecksum(given)
        } catch (error) {
          assert.ok(isFailure(error, 'REQUEST_INVALID'), String(error))
        }
      }),
    )
  })
})
