import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { crc32c } from './crc32c.ts'
import { Fields } from './fields.ts'
import { Recent } from './recent.ts'

const bytes = Buffer.from('0102030405060708ff00414200433100', 'hex')
const little = new Fields(bytes, { name: 'thing', start: 1000 })
const big = new Fields(bytes, { name: 'thing', order: 'big' })

describe('fields', () => {
  it('are read in either byte order', () => {
    assert.deepEqual([little.u8(1), little.u16(0), little.u32(0)], [2, 0x0201, 0x04030201])
    assert.deepEqual([big.u8(1), big.u16(0), big.u32(0)], [2, 0x0102, 0x01020304])
    assert.equal(little.u64(0), 0x0807060504030201n)
    assert.equal(big.u64(0), 0x0102030405060708n)
  })

  it('keep every digit: what cannot be a size is refused as one', () => {
    assert.equal(
      new Fields(Buffer.from('ffffffffffff1f00', 'hex'), { name: 'n' }).size(0),
      2 ** 53 - 1,
    )
    assert.throws(() => little.size(0), failsWith('IMAGE_UNSAFE'))
  })

  it('are never read outside the structure', () => {
    for (const read of [
      () => little.u8(16),
      () => little.u16(15),
      () => little.u32(13),
      () => little.u64(9),
      () => little.u8(-1),
      () => little.u8(Number.NaN),
      () => little.slice(10, 7),
      () => little.slice(0, -1),
      () => little.text(16, 1),
      () => little.part('part', 8, 4).u32(1),
    ])
      assert.throws(read, failsWith('IMAGE_UNSAFE'))
  })

  it('are compared with a magic number, also behind the end', () => {
    assert.equal(little.holds(8, '\xff\0AB'), true)
    assert.equal(little.holds(8, '\xff\0AC'), false)
    assert.equal(little.holds(14, '1\0\0'), false)
    assert.equal(little.holds(99, 'x'), false)
  })

  it('hold text up to the first NUL', () => {
    assert.equal(little.text(10, 6), 'AB')
    assert.equal(little.text(13, 2), 'C1')
  })

  it('say at which byte of the whole a fault is', () => {
    const fault = little.part('part', 8, 4).fault('IMAGE_UNSAFE', 2, 'wrong', 'Do something.')
    assert.ok(fault instanceof Failure)
    assert.equal(fault.message, 'part, byte 1010: wrong')
    assert.deepEqual([fault.details, fault.fix], [{ offset: 1010 }, 'Do something.'])
  })
})

it('CRC-32C gives the published check value', () => {
  // Source: RFC 3720, B.4, and the catalogue of parametrised CRC algorithms
  assert.equal(~crc32c(Buffer.from('123456789'), 0xffffffff) >>> 0, 0xe3069283)
  assert.equal(~crc32c(Buffer.alloc(32), 0xffffffff) >>> 0, 0x8a9136aa)
  const half = crc32c(Buffer.from('1234'), 0xffffffff)
  assert.equal(~crc32c(Buffer.from('56789'), half) >>> 0, 0xe3069283)
})

it('what was used last is kept within its bound, and the newest always', () => {
  const recent = new Recent<string, number>(10)
  recent.set('a', 1, 4)
  recent.set('b', 2, 4)
  recent.get('a')
  recent.set('c', 3, 4)
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [1, undefined, 3])
  recent.set('a', 4, 1)
  recent.set('d', 5, 5)
  assert.deepEqual([recent.get('a'), recent.get('c'), recent.get('d')], [4, 3, 5])
  recent.set('large', 6, 100)
  assert.deepEqual([recent.get('a'), recent.get('large')], [undefined, 6])
})
