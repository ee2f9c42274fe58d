import assert from 'node:assert/strict'
import { it } from 'node:test'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { GiB, KiB, MiB } from '../base/units.ts'
import { crc32OfZeros, crc32WithoutZeros } from './crc32.ts'

it('tells the CRC-32 of zeros as zlib counts it', () => {
  for (const length of [0, 1, 2, 511, 512, 64 * KiB, MiB + 3, 16 * MiB])
    assert.equal(crc32OfZeros(length), crc32(Buffer.alloc(length)), `${length} zeros`)
})

it('tells it of more zeros than any file has, by putting shorter runs together', () => {
  const zeros = Buffer.alloc(64 * MiB)
  let crc = 0
  for (let done = 0; done < 5 * GiB; done += zeros.length) crc = crc32(zeros, crc)
  assert.equal(crc32OfZeros(5 * GiB), crc)
})

it('takes zeros away again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(70_000), (bytes, zeros) => {
      const padded = crc32(Buffer.alloc(zeros), crc32(bytes))
      assert.equal(crc32WithoutZeros(padded, zeros), crc32(bytes))
    }),
  )
})
