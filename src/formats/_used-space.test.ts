import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { GiB, KiB, MiB, TiB } from '../base/units.ts'
import { UsedSpace } from './_used-space.ts'

test('a byte is taken once, whatever the borders', () => {
  const border = fc.oneof(
    fc.nat(2000),
    fc.nat(600).map((sector) => sector * 512),
    fc.nat(8).map((unit) => unit * 64 * KiB),
    fc.nat(3).map((page) => page * 128 * MiB),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(border, border), { maxLength: 60 }), (pairs) => {
      const used = new UsedSpace()
      const taken: [number, number][] = []
      for (const [a, b] of pairs) {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        const free = start === end || taken.every(([from, to]) => end <= from || start >= to)
        assert.equal(used.take(start, end), free)
        if (free && start < end) taken.push([start, end])
      }
      assert.equal(used.end, Math.max(0, ...taken.map(([, to]) => to)))
    }),
  )
})

test('everything behind a byte can be taken at once', () => {
  const used = new UsedSpace()
  assert.ok(used.take(0, 512))
  assert.equal(used.take(511, Infinity), false)
  assert.ok(used.take(512, Infinity))
  assert.equal(used.take(4096, 4097), false)
})

test('a full file of many blocks costs nothing to speak of', () => {
  const used = new UsedSpace()
  for (let at = 0; at < 64 * GiB; at += 64 * KiB) assert.ok(used.take(at, at + 64 * KiB))
  for (let block = 0; block < 1000; block++) {
    const at = 128 * GiB + block * (2 * MiB + 512)
    assert.ok(used.take(at, at + 512) && used.take(at + 512, at + 512 + 2 * MiB))
  }
  assert.equal(used.isFull, false)
  assert.equal(used.take(GiB, GiB + 1), false)
})

test('a file that scatters what it holds runs into the budget', () => {
  const used = new UsedSpace()
  let count = 0
  for (let at = 0; at < 64 * TiB && !used.isFull; at += 1 * MiB, count++) used.take(at, at + 1)
  assert.ok(used.isFull)
  assert.ok(count > 100_000)
  assert.ok(new UsedSpace().take(0, Number.MAX_SAFE_INTEGER))
})
