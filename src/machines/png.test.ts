import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, inflateSync } from 'node:zlib'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { toPng } from './png.ts'

/** A PNG read back by the letter of its specification: size and pixels. */
function readPng(png: Buffer): { width: number; height: number; pixels: Buffer } {
  assert.equal(png.toString('latin1', 0, 8), '\x89PNG\r\n\x1a\n')
  const chunks = new Map<string, Buffer>()
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at)
    const body = png.subarray(at + 4, at + 8 + length)
    assert.equal(png.readUInt32BE(at + 8 + length), crc32(body))
    chunks.set(body.toString('latin1', 0, 4), body.subarray(4))
    at += 12 + length
  }
  assert.deepEqual([...chunks.keys()], ['IHDR', 'IDAT', 'IEND'])
  const header = chunks.get('IHDR')!
  assert.deepEqual([...header.subarray(8)], [8, 2, 0, 0, 0])
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const lines = inflateSync(chunks.get('IDAT')!)
  assert.equal(lines.length, height * (width * 3 + 1))
  const rows = Array.from({ length: height }, (_, y) => {
    const row = lines.subarray(y * (width * 3 + 1), (y + 1) * (width * 3 + 1))
    assert.equal(row[0], 0, 'no filter')
    return row.subarray(1)
  })
  return { width, height, pixels: Buffer.concat(rows) }
}

test('a picture keeps its size and every pixel', () => {
  const picture = fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }))
    .chain(([width, height]) => {
      const length = width * height * 3
      return fc.tuple(
        fc.constant(width),
        fc.constant(height),
        fc.uint8Array({ minLength: length, maxLength: length }),
      )
    })
  fc.assert(
    fc.property(picture, ([width, height, pixels]) => {
      const ppm = Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), pixels])
      const read = readPng(Buffer.from(toPng(ppm)))
      assert.deepEqual(read, { width, height, pixels: Buffer.from(pixels) })
    }),
  )
})

test('comments in the head of a picture are passed over', () => {
  const ppm = Buffer.from('P6\n# made by a machine\n1 1\n255\nabc')
  assert.equal(readPng(Buffer.from(toPng(ppm))).pixels.toString(), 'abc')
})

test('what is no picture, cut short or far too large is refused', () => {
  for (const text of [
    '',
    'P5\n1 1\n255\na',
    'P6\n0 1\n255\n',
    'P6\n2 2\n255\nabc',
    'P6\n99999 99999\n255\n',
    'P6\n1 1\n65535\nabcdef',
  ])
    assert.throws(() => toPng(Buffer.from(text)), failsWith('MACHINE_FAILED'), text)
})

test('throws nothing but Failures, whatever comes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      try {
        toPng(Buffer.concat([Buffer.from('P6 '), bytes]))
      } catch (error) {
        assert.ok(isFailure(error, 'MACHINE_FAILED'))
      }
    }),
  )
})
