import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { TiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { DiskMap, DiskMapBuilder, parseDiskMap, UNIT } from './disk-map.ts'

function mapOf(bits: readonly boolean[], short = 0): DiskMap {
  const builder = new DiskMapBuilder()
  for (const [unit, bit] of bits.entries()) if (bit) builder.add(unit)
  return builder.toMap(bits.length * UNIT - (bits.length > 0 ? short : 0))
}

const someBits = fc.oneof(
  fc.array(fc.boolean(), { maxLength: 200 }),
  fc
    .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 900 })), { maxLength: 12 })
    .map((runs) => runs.flatMap(([bit, length]) => Array.from({ length }, () => bit))),
)

describe('disk map', () => {
  it('ranks, selects and finds the next unit as counting one by one would', () => {
    fc.assert(
      fc.property(someBits, fc.integer({ min: 0, max: UNIT - 1 }), (bits, short) => {
        const map = mapOf(bits, short)
        let rank = 0
        for (const [unit, bit] of bits.entries()) {
          assert.equal(map.has(unit), bit)
          assert.equal(map.rank(unit), rank)
          if (bit) assert.equal(map.select(rank++), unit)
          const next = bits.indexOf(true, unit)
          assert.equal(map.next(unit, true), next < 0 ? bits.length : next)
          const hole = bits.indexOf(false, unit)
          assert.equal(map.next(unit, false), hole < 0 ? bits.length : hole)
        }
        assert.equal(map.rank(bits.length), rank)
        assert.equal(map.dataUnits, rank)
      }),
    )
  })

  it('gives its runs as bytes, the last one cut at the end of the disk', () => {
    assert.deepEqual(
      [...mapOf([true, true, false, true], 512).extents()],
      [
        { offset: 0, length: 2 * UNIT },
        { offset: 3 * UNIT, length: UNIT - 512 },
      ],
    )
  })

  it('comes back from its bytes the same, and its digest names it', () => {
    fc.assert(
      fc.property(someBits, (bits) => {
        const map = mapOf(bits)
        const again = parseDiskMap(map.toBytes(), 'map')
        assert.equal(again.digest, map.digest)
        assert.equal(again.dataUnits, map.dataUnits)
      }),
    )
    assert.notEqual(mapOf([true, false]).digest, mapOf([false, true]).digest)
    assert.notEqual(mapOf([true], 512).digest, mapOf([true]).digest)
  })

  it('joins units: a larger one holds data if any of its parts does', () => {
    fc.assert(
      fc.property(someBits, fc.constantFrom(1, 2, 16, 32, 64, 256), (bits, factor) => {
        const map = mapOf(bits).coarser(factor * UNIT)
        assert.equal(map.units, Math.ceil(bits.length / factor))
        for (let unit = 0; unit < map.units; unit++)
          assert.equal(map.has(unit), bits.slice(unit * factor, (unit + 1) * factor).includes(true))
      }),
    )
  })

  it('refuses bytes that are no map, or not all of one', () => {
    const bytes = mapOf([true, true, false]).toBytes()
    for (const bad of [bytes.subarray(0, 20), bytes.subarray(0, -1), Buffer.alloc(64)])
      assert.throws(() => parseDiskMap(bad, 'map'), failsWith('IMAGE_UNSAFE'))
    const flipped = Buffer.from(bytes)
    flipped[32] = 7
    assert.throws(() => parseDiskMap(flipped, 'map'), failsWith('IMAGE_UNSAFE'))
  })

  it('forgets marks behind the end of the disk', () => {
    const builder = new DiskMapBuilder()
    builder.add(0, 5)
    builder.remove(1)
    const map = builder.toMap(2 * UNIT)
    assert.deepEqual([map.units, map.dataUnits, map.has(3)], [2, 1, false])
  })

  it('holds 2 TiB in megabytes, however scattered', () => {
    const builder = new DiskMapBuilder()
    const units = (2 * TiB) / UNIT
    for (let unit = 0; unit < units; unit += 3) builder.add(unit)
    const map = builder.toMap(2 * TiB)
    assert.equal(map.toBytes().length, 32 + units / 8)
    assert.equal(map.select(map.dataUnits - 1), units - 1 - ((units - 1) % 3))
    assert.equal(map.rank(units), map.dataUnits)
  })
})
