import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { openHousekeeping } from './housekeeping.ts'

test('chores are done again and again, also after one of them failed, until it is closed', async () => {
  let rounds = 0
  const third = Promise.withResolvers<void>()
  const chore = {
    name: 'sweep',
    everyMs: 1,
    run: async () => {
      rounds += 1
      if (rounds === 1) throw new Error('the broom broke')
      if (rounds === 3) third.resolve()
    },
  }
  const warnings: unknown[] = []
  const log = {
    ...makeContext().log,
    warn: (event: string, fields?: object) => void warnings.push([event, fields]),
  }
  const kept = openHousekeeping([chore], { log })
  const alive = setInterval(() => {}, 1000) // housekeeping alone keeps no process alive
  await third.promise
  clearInterval(alive)
  await kept[Symbol.asyncDispose]()
  assert.deepEqual(warnings, [['chore.failed', { name: 'sweep', error: 'the broom broke' }]])
})
