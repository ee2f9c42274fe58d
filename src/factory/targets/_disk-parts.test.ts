import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { cutParts, holesOf, lengthOfParts, type Part, touchedBlocks } from './_disk-parts.ts'

/** Extents in order, that do not touch, and a size that holds them. */
const disks = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 900 })), {
    maxLength: 20,
  })
  .map((gaps) => {
    const extents: Part[] = []
    let at = 0
    for (const [gap, length] of gaps) {
      extents.push({ start: at + gap, end: at + gap + length })
      at += gap + length
    }
    return { extents, size: at + 7 }
  })

suite('parts of a disk', () => {
  test('are the extents again when they are put together, none longer than wanted', () =>
    fc.assert(
      fc.property(disks, fc.integer({ min: 1, max: 500 }), ({ extents }, most) => {
        const joined: { start: number; end: number }[] = []
        for (const { start, end } of cutParts(extents, most)) {
          assert.ok(end > start && end - start <= most)
          const last = joined.at(-1)
          if (last?.end === start) last.end = end
          else joined.push({ start, end })
        }
        assert.deepEqual(joined, extents)
      }),
    ))

  test('and holes are the whole disk', () =>
    fc.assert(
      fc.property(disks, ({ extents, size }) => {
        const all = [...extents, ...holesOf(extents, size)].toSorted((a, b) => a.start - b.start)
        assert.equal(lengthOfParts(all), size)
        assert.ok(all.every(({ start }, index) => start === (all[index - 1]?.end ?? 0)))
      }),
    ))

  test('blocks that are touched are those with a byte of an extent, each once', () =>
    fc.assert(
      fc.property(disks, fc.integer({ min: 1, max: 700 }), ({ extents, size }, block) => {
        const isTouched = (number: number) =>
          extents.some(({ start, end }) => start < (number + 1) * block && end > number * block)
        const wanted = Array.from({ length: Math.ceil(size / block) }, (_, at) => at).filter(
          isTouched,
        )
        assert.deepEqual([...touchedBlocks(extents, block)], wanted)
      }),
    ))
})
