/** A case of the store contract: objects made by random writes are what a buffer would be. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { patternOf, type Subject } from './store-contract.ts'

/** One call of a writer; where writes go in order, `at` is not looked at. */
const step = fc.record({
  at: fc.nat(150_000),
  length: fc.oneof(fc.nat(20), fc.nat(100_000)),
  zeros: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1000 }),
})

export function describeModel(subject: Subject): void {
  it('keeps what a buffer would, whatever is written', async () => {
    const { store } = subject
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 8 }),
        fc.nat(5000),
        fc.tuple(fc.nat(250_000), fc.nat(250_000)),
        async (steps, tail, [some, other]) => {
          const key = randomUUID()
          const model = Buffer.alloc(300_000)
          let end = 0
          await using writer = await store.create(key)
          for (const { at, length, zeros, seed } of steps) {
            const offset = store.anyOrder ? at : end
            if (offset + length + tail > model.length) continue
            const bytes = zeros ? Buffer.alloc(length) : patternOf(length, seed)
            if (zeros) await writer.zeros(offset, length)
            else await writer.write(offset, bytes)
            model.set(bytes, offset)
            end = Math.max(end, offset + length)
          }
          const size = store.anyOrder ? Math.abs(end - tail) : end + tail
          await writer.finish(size)
          await using source = await store.open(key)
          assert.equal(source.size, size)
          const from = Math.min(some, other, size)
          const to = Math.min(Math.max(some, other), size)
          assert.ok(model.subarray(from, to).equals(await source.read(from, to - from)))
          assert.ok(model.subarray(0, size).equals(await source.read(0, size)))
          await store.remove(key)
        },
      ),
      { numRuns: subject.randomObjects },
    )
  })
}
