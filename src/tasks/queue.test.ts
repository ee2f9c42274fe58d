import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { noPostgres, openPostgres } from '../testing/postgres.ts'
import { testQueue } from '../testing/queue-contract.ts'
import { openLocalQueue } from './local-queue.ts'
import { openPgBossQueue } from './pg-boss-queue.ts'

const postgres = noPostgres ? undefined : await openPostgres()
const url = (await postgres?.createDatabase()) ?? ''

testQueue('in one process', { isShared: false }, async () => openLocalQueue(makeContext()))
testQueue('of pg-boss', { isShared: true, skip: noPostgres }, () =>
  openPgBossQueue(url, makeContext()),
)

test('the queue of pg-boss says when there is no database', { skip: noPostgres }, async () => {
  await assert.rejects(openPgBossQueue(`${url}&port=1`, makeContext()), failsWith('DATABASE_AWAY'))
})

test(
  'an offer is lost, and nobody fails, when the database has gone',
  { skip: noPostgres },
  async () => {
    await using queue = await openPgBossQueue(url, makeContext())
    await postgres?.stop('immediate')
    await queue.offer('task')
    await postgres?.start()
  },
)
