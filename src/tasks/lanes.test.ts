import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Lanes } from './_lanes.ts'

/** Work that goes on until it is let go. */
function scene(most: number) {
  const lanes = new Lanes(new Map([['build', most]]))
  const running = new Map<string, () => void>()
  const offered: string[] = []
  const begin = (id: string, owner: string) =>
    lanes.run(
      { id, type: 'build', owner },
      () => new Promise((resolve) => running.set(id, resolve)),
      async (next) => void offered.push(next),
    )
  const end = async (id: string, work: Promise<void>) => {
    running.get(id)?.()
    running.delete(id)
    await work
  }
  return { lanes, running, offered, begin, end }
}

describe('places of a kind of work', () => {
  it('are no more than it has; what comes then is offered when one is free', async () => {
    const { lanes, running, offered, begin, end } = scene(2)
    const first = begin('1', 'a')
    void begin('2', 'a')
    await begin('3', 'a')
    assert.deepEqual([...running.keys()], ['1', '2'])
    assert.deepEqual(lanes.full, ['build'])
    await end('1', first)
    assert.deepEqual([offered, lanes.full], [['3'], []])
  })

  it('go to who has least under way', async () => {
    const { offered, begin, end } = scene(2)
    const first = begin('1', 'a')
    void begin('2', 'a')
    await begin('3', 'a')
    await begin('4', 'b')
    await end('1', first)
    assert.deepEqual(offered, ['4'])
  })

  it('are free again when the work fails', async () => {
    const { lanes } = scene(1)
    const task = { id: '1', type: 'build', owner: null }
    const failing = lanes.run(
      task,
      () => Promise.reject(new Error('no luck')),
      async () => {},
    )
    await assert.rejects(failing, /no luck/)
    assert.deepEqual(lanes.full, [])
  })
})
