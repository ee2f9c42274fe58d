import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gunzipSync, inflateRawSync } from 'node:zlib'
import * as fc from 'fast-check'
import { GiB, KiB, MiB, TiB } from '../base/units.ts'
import { bytesOf } from '../testing/view-bytes.ts'
import {
  deflatedZeros,
  deflatedZerosLength,
  storedLength,
  storedStream,
} from './_deflate-stream.ts'
import { gzipBytes, gzipZeros, gzipZerosLength } from './_gzip-member.ts'
import { bytesPiece, piecesContent } from './_pieces.ts'

async function check(length: number): Promise<void> {
  const content = piecesContent(deflatedZeros(length))
  assert.equal(deflatedZerosLength(length), content.length)
  const found = inflateRawSync(await bytesOf(content, {}), { windowBits: 12 })
  assert.equal(found.length, length)
  assert.ok(found.every((byte) => byte === 0))
}

describe('a deflate stream of zeros', () => {
  it('gives as many as were asked for', async () => {
    for (const length of [1, 2, 90_924, 257, 258, 259, 516, 517, 512, 64 * KiB, MiB])
      await check(length)
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 300_000 }), check))
  })
  it('is a few pieces, however many zeros it gives', () => {
    for (const length of [16 * MiB, GiB + 512, 5 * TiB]) {
      const content = piecesContent(deflatedZeros(length))
      assert.equal([...content.pieces(0, content.length)].length, 3)
      assert.ok(content.length < length / 1000)
    }
  })
  it('is read by gunzip with its check sum', async () => {
    const content = piecesContent(gzipZeros(20 * MiB + 7))
    assert.equal(content.length, gzipZerosLength(20 * MiB + 7))
    assert.equal(gunzipSync(await bytesOf(content, {})).length, 20 * MiB + 7)
  })
})

it('holds bytes as they are, of any length', async () => {
  const lengths = [1, 512, 65_535, 65_536, 65_537, 131_070, 200_000]
  for (const length of lengths) {
    const bytes = Buffer.alloc(length, 'abc')
    const stream = piecesContent(storedStream(bytesPiece(bytes), length))
    assert.equal(stream.length, storedLength(length))
    assert.equal(Buffer.compare(inflateRawSync(await bytesOf(stream, {})), bytes), 0)
    assert.equal(
      Buffer.compare(gunzipSync(await bytesOf(piecesContent(gzipBytes(bytes)), {})), bytes),
      0,
    )
  }
})
