/** What every queue keeps to, whatever carries its messages. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import type { Queue } from '../tasks/queue.ts'

/** Collects what a queue hands out, and holds on to it until it is told to go on. */
class Hands {
  readonly got: string[] = []
  holding = 0
  most = 0
  waits = false
  readonly #held: (() => void)[] = []
  readonly #heard: { count: number; resolve: () => void }[] = []

  readonly take = async (taskId: string): Promise<void> => {
    this.got.push(taskId)
    this.holding += 1
    this.most = Math.max(this.most, this.holding)
    for (const { count, resolve } of this.#heard) if (this.got.length >= count) resolve()
    if (this.waits) await new Promise<void>((resolve) => void this.#held.push(resolve))
    this.holding -= 1
  }

  goOn(): void {
    for (const resolve of this.#held.splice(0)) resolve()
  }

  /** When so many were handed out, in all. */
  async until(count: number): Promise<void> {
    if (this.got.length >= count) return
    await new Promise<void>((resolve) => void this.#heard.push({ count, resolve }))
  }
}

/** `isShared`: all that `open` gives are one queue, of several servers. */
export function testQueue(
  name: string,
  { skip = false, isShared }: { skip?: string | false; isShared: boolean },
  open: () => Promise<Queue>,
) {
  describe(`the queue ${name}`, { skip, timeout: 60_000 }, () => {
    const opened: Queue[] = []
    let prefix = 0
    const openQueue = async () => {
      const queue = await open()
      opened.push(queue)
      return queue
    }
    const names = (count: number) => {
      prefix += 1
      return Array.from({ length: count }, (_, at) => `task-${prefix}-${at}`)
    }
    afterEach(async () => {
      for (const queue of opened.splice(0)) await queue[Symbol.asyncDispose]()
    })

    it('hands out every task that is offered, also those offered before anybody worked', async () => {
      const queue = await openQueue()
      const [early = '', ...late] = names(4)
      const hands = new Hands()
      await queue.offer(early)
      await queue.work(2, hands.take)
      for (const taskId of late) await queue.offer(taskId)
      await hands.until(4)
      assert.deepEqual(hands.got.toSorted(), [early, ...late])
    })

    it('hands out so many at a time, and the next as soon as one is done', async () => {
      const queue = await openQueue()
      const tasks = names(6)
      const hands = new Hands()
      hands.waits = true
      for (const taskId of tasks) await queue.offer(taskId)
      await queue.work(2, hands.take)
      for (let count = 2; count <= 6; count += 2) {
        await hands.until(count)
        hands.goOn()
      }
      assert.deepEqual(hands.got.toSorted(), tasks)
      assert.equal(hands.most, 2)
    })

    it('keeps one message of a task that waits', async () => {
      const queue = await openQueue()
      const [repeated = '', last = ''] = names(2)
      const hands = new Hands()
      await queue.offer(repeated)
      await queue.offer(repeated)
      await queue.offer(last)
      await queue.work(1, hands.take)
      await hands.until(2)
      assert.deepEqual(hands.got, [repeated, last])
    })

    it('hands out a task again that is offered again while it is worked on', async () => {
      const queue = await openQueue()
      const [taskId = ''] = names(1)
      const hands = new Hands()
      hands.waits = true
      await queue.work(2, hands.take)
      await queue.offer(taskId)
      await hands.until(1)
      await queue.offer(taskId)
      await hands.until(2)
      hands.goOn()
    })

    it('goes on after what threw', async () => {
      const queue = await openQueue()
      const [bad = '', good = ''] = names(2)
      const hands = new Hands()
      await queue.work(1, async (taskId) => {
        await hands.take(taskId)
        if (taskId === bad) throw new Error('on purpose')
      })
      await queue.offer(bad)
      await queue.offer(good)
      await hands.until(2)
      assert.deepEqual(hands.got, [bad, good])
    })

    it('is closed without waiting for what is worked on', async () => {
      const queue = await openQueue()
      const hands = new Hands()
      hands.waits = true
      await queue.work(1, hands.take)
      for (const taskId of names(1)) await queue.offer(taskId)
      await hands.until(1)
      await queue[Symbol.asyncDispose]()
      assert.equal(hands.holding, 1)
      hands.goOn()
    })

    it('hands out nothing more when it rests', async () => {
      const queue = await openQueue()
      const [first = '', second = ''] = names(2)
      const hands = new Hands()
      hands.waits = true
      await queue.work(1, hands.take)
      await queue.offer(first)
      await hands.until(1)
      await queue.rest()
      await queue.offer(second)
      hands.goOn()
      if (!isShared) return assert.deepEqual(hands.got, [first])
      const elsewhere = new Hands()
      await (await openQueue()).work(1, elsewhere.take)
      await elsewhere.until(1)
      assert.deepEqual([hands.got, elsewhere.got], [[first], [second]])
    })

    it('shares its messages among servers, each to one of them', { skip: !isShared }, async () => {
      const tasks = names(8)
      const [here, there] = [await openQueue(), await openQueue()]
      const hands = new Hands()
      hands.waits = true
      await here.work(2, hands.take)
      await there.work(2, hands.take)
      for (const taskId of tasks) await here.offer(taskId)
      for (let count = 4; count <= 8; count += 4) {
        await hands.until(count)
        hands.goOn()
      }
      assert.deepEqual(hands.got.toSorted(), tasks)
      assert.equal(hands.most, 4)
    })
  })
}
