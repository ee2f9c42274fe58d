import { openDatabase } from '../database/open-database.ts'
import { makeContext } from '../base/context.ts'
import { testLedger } from '../testing/ledger-contract.ts'
import { noPostgres, openPostgres } from '../testing/postgres.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { ledgerMigrations } from './ledger-migrations.ts'

const temp = await tempDir()
const postgres = noPostgres ? undefined : await openPostgres()
testLedger('SQLite', false, () =>
  openDatabase({ sqlite: temp('ledger.db') }, ledgerMigrations, makeContext()),
)

testLedger('PostgreSQL', noPostgres, async () =>
  openDatabase(
    { postgres: (await postgres?.createDatabase()) ?? '' },
    ledgerMigrations,
    makeContext(),
  ),
)
