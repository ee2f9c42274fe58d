import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { suite, test } from 'node:test'
import { inLanes } from './in-lanes.ts'

suite('work in lanes', () => {
  test('does all of it, no more at a time than there are lanes', async () => {
    const done: number[] = []
    let underWay = 0
    let most = 0
    await inLanes([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++underWay)
      await setImmediate()
      underWay--
      done.push(item)
    })
    assert.deepEqual([done, most], [[1, 2, 3, 4, 5, 6, 7], 3])
  })

  test('begins nothing after a failure, and throws it when nothing is under way', async () => {
    const begun: number[] = []
    let underWay = 0
    const work = async (item: number) => {
      begun.push(item)
      underWay++
      await setImmediate()
      underWay--
      if (item === 2) throw new Error('two')
    }
    await assert.rejects(inLanes([1, 2, 3, 4, 5, 6], 2, work), /two/)
    assert.equal(underWay, 0)
    assert.ok(!begun.includes(5), String(begun))
  })
})
