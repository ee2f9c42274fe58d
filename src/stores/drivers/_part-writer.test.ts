import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { GiB, MiB, TiB } from '../../base/units.ts'
import { type Part, PartMemory, planParts, type PartTarget, writeParts } from './_part-writer.ts'

/** A place that keeps what it is given, and lets parts arrive when a test says so. */
function makeTarget(partSize: number) {
  const waiting: (() => void)[] = []
  const parts = new Map<number, Buffer>()
  const said: string[] = []
  let most = 0
  let underWay = 0
  const target: PartTarget = {
    sizeOf: () => partSize,
    putWhole: async (content: Part) => {
      said.push(`whole ${content.bytes.length}`)
      parts.set(1, Buffer.from(content.bytes))
    },
    begin: async () => void said.push('begin'),
    putPart: async (number, { bytes }) => {
      most = Math.max(most, ++underWay)
      await new Promise<void>((resolve) => waiting.push(resolve))
      underWay--
      parts.set(number, Buffer.from(bytes))
    },
    complete: async (size) => void said.push(`complete ${size}`),
    clear: async () => void said.push('clear'),
  }
  return {
    target,
    said,
    /** Lets everything arrive, the last first, until `work` is done. */
    pump: async <T>(work: Promise<T>): Promise<T> => {
      const turning = setInterval(() => waiting.pop()?.())
      return await work.finally(() => clearInterval(turning))
    },
    content: () =>
      Buffer.concat([...parts].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes)),
    most: () => most,
  }
}

suite('an object in parts', () => {
  test('is what was written, however it is cut and in whatever order parts arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (pieces, partSize, isKnown) => {
          const place = makeTarget(partSize)
          const whole = Buffer.concat(pieces)
          const memory = new PartMemory(100)
          const writer = writeParts(place.target, memory, isKnown ? whole.length : undefined)
          const write = async () => {
            for (const piece of pieces) {
              const ours = Buffer.from(piece)
              await writer.write(0, ours)
              ours.fill(0xee)
            }
            await writer.finish(whole.length)
          }
          await place.pump(write())
          assert.deepEqual(place.content(), whole)
          assert.ok(place.most() <= 3)
          assert.ok(memory.take(100, false) && !memory.take(1, false), 'all memory is given back')
        },
      ),
      { numRuns: 200 },
    )
  })

  test('is sent as one when it is small, and removed when it is given up', async () => {
    const small = makeTarget(10)
    const one = writeParts(small.target, new PartMemory())
    await one.write(0, Buffer.alloc(10))
    await one.finish(10)
    await one.discard()
    assert.deepEqual(small.said, ['whole 10'])

    const large = makeTarget(10)
    const other = writeParts(large.target, new PartMemory())
    await large.pump(other.write(0, Buffer.alloc(25)))
    await large.pump(other.discard())
    assert.deepEqual(large.said, ['begin', 'clear'])

    const untouched = makeTarget(10)
    await writeParts(untouched.target, new PartMemory()).discard()
    assert.deepEqual(untouched.said, [])
  })

  test('does not go on when a part could not be sent', async () => {
    const place = makeTarget(10)
    const memory = new PartMemory(100)
    const fail = { putPart: () => Promise.reject(new Error('no such luck')) }
    const writer = writeParts({ ...place.target, ...fail }, memory)
    await assert.rejects(async () => {
      for (let at = 0; at < 100; at += 10) await writer.write(at, Buffer.alloc(10))
      await writer.finish(100)
    }, /no such luck/)
    await writer.discard()
    assert.deepEqual(place.said, ['begin', 'clear'])
    assert.ok(memory.take(100, false))
  })

  test('has one part in memory even when others have all of it', async () => {
    const memory = new PartMemory(20)
    assert.ok(memory.take(20, false))
    const place = makeTarget(10)
    const writer = writeParts(place.target, memory)
    await place.pump(writer.write(0, Buffer.alloc(45)))
    await place.pump(writer.finish(45))
    assert.equal(place.most(), 1)
    assert.deepEqual(place.said, ['begin', 'complete 45'])
  })
})

suite('sizes of parts', () => {
  test('hold the largest object of S3, known or not', () => {
    const known = planParts(8 * MiB, 10_000, 5 * TiB)
    assert.ok(known(1) * 10_000 >= 5 * TiB)
    assert.ok(known(1) < 530 * MiB)
    const unknown = planParts(8 * MiB, 10_000)
    let sum = 0
    for (let number = 1; number <= 10_000; number++) sum += unknown(number)
    assert.ok(sum >= 5 * TiB)
    assert.ok(unknown(10_000) <= 5 * GiB, 'no part is larger than S3 takes')
  })

  test('are small while objects are', () => {
    assert.equal(planParts(8 * MiB, 10_000, 4 * GiB)(500), 8 * MiB)
    assert.equal(planParts(8 * MiB, 10_000)(1000), 8 * MiB)
    assert.equal(planParts(8 * MiB, 10_000)(1001), 16 * MiB)
  })
})
