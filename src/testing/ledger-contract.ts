/** What every ledger keeps to, whatever the database. */
import { after, before, beforeEach, describe } from 'node:test'
import type { Database } from '../database/database.ts'
import { describeEnding } from './_ledger-ending.ts'
import { describeFencing } from './_ledger-fencing.ts'
import { describeKeeping } from './_ledger-keeping.ts'
import { type LedgerScene, openLedgerScene } from './_ledger-scene.ts'

/** `open`: a database with the ledger's migrations, which the tests share. */
export function testLedger(name: string, skip: string | false, open: () => Promise<Database>) {
  describe(`the ledger in ${name}`, { skip }, () => {
    let database: Database
    let scene: LedgerScene

    before(async () => {
      database = await open()
    })
    beforeEach(async () => {
      scene = await openLedgerScene(database)
    })
    after(() => database[Symbol.asyncDispose]())

    describeKeeping(() => scene)
    describeFencing(() => scene)
    describeEnding(() => scene)
  })
}
