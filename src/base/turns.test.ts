import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { Turns } from './turns.ts'

const never = new AbortController().signal

test('as many as may be are under way, and the others follow in the order in which they came', async () => {
  const turns = new Turns(2)
  const began: number[] = []
  const taken = [0, 1, 2, 3].map(async (number) => {
    const turn = await turns.take(never)
    began.push(number)
    return turn
  })
  const [first, second] = await Promise.all(taken.slice(0, 2))
  assert.deepEqual(began, [0, 1])
  second?.[Symbol.dispose]()
  second?.[Symbol.dispose]() // once is enough
  await taken[2]
  assert.deepEqual(began, [0, 1, 2])
  first?.[Symbol.dispose]()
  await taken[3]
})

test('who leaves the line is not waited for', async () => {
  const turns = new Turns(1)
  const turn = await turns.take(never)
  const leaving = new AbortController()
  const left = turns.take(leaving.signal)
  const next = turns.take(never)
  leaving.abort()
  await assert.rejects(left, failsWith('INTERRUPTED'))
  turn[Symbol.dispose]()
  ;(await next)[Symbol.dispose]()
  await assert.rejects(turns.take(AbortSignal.abort()), failsWith('INTERRUPTED'))
  ;(await turns.take(never))[Symbol.dispose]()
})
