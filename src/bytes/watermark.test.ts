import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Watermark } from './watermark.ts'

describe('a watermark', () => {
  it('lets everyone wait for their own place', async () => {
    const mark = new Watermark()
    const reached: number[] = []
    const waiting = [30, 10, 20].map(async (at) => {
      await mark.reach(at)
      reached.push(at)
    })
    mark.advance(20)
    await mark.reach(20)
    await setImmediate()
    assert.deepEqual(reached, [10, 20])
    mark.advance(30)
    await Promise.all(waiting)
    assert.deepEqual(reached, [10, 20, 30])
  })

  it('tells all who wait that it comes no further, but not those behind it', async () => {
    const mark = new Watermark()
    mark.advance(5)
    const early = mark.reach(6)
    mark.fail(new Error('no more'))
    await assert.rejects(early, /no more/)
    await assert.rejects(mark.reach(6), /no more/)
    await mark.reach(5)
    assert.equal(mark.at, 5)
    assert.equal(mark.hasFailed, true)
  })
})
