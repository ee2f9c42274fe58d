import { openDatabase } from '../database/open-database.ts'
import { makeContext } from '../base/context.ts'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { testLedger } from '../testing/ledger-contract.ts'
import { withStandingClock } from '../testing/standing-clock.ts'
import { ledgerMigrations } from './ledger-migrations.ts'

const { kinds } = await openDatabaseKinds()
for (const { kind, skip, address } of kinds)
  testLedger(kind, skip, async () =>
    openDatabase(await withStandingClock(await address()), ledgerMigrations, makeContext()),
  )
