import type { DatabaseAddress } from '../database/open-database.ts'
import { noPostgres, openPostgres, type Postgres } from './postgres.ts'
import { tempDir } from './temp-dir.ts'

/** A kind of database, for what holds for every kind. */
export interface DatabaseUnderTest {
  readonly kind: 'SQLite' | 'PostgreSQL'
  readonly skip: string | false
  /** Of a new, empty database. */
  address(): Promise<DatabaseAddress>
}

/**
 * Every kind of database, for the tests of one file, gone when they are done; and the PostgreSQL, where
 * there is one. Called at the top of the file.
 */
export async function openDatabaseKinds(): Promise<{
  readonly kinds: readonly DatabaseUnderTest[]
  readonly postgres: Postgres | undefined
}> {
  const at = await tempDir()
  const postgres = noPostgres ? undefined : await openPostgres()
  const kinds: readonly DatabaseUnderTest[] = [
    {
      kind: 'SQLite',
      skip: false,
      address: async () => ({ sqlite: at(`${crypto.randomUUID()}.db`) }),
    },
    {
      kind: 'PostgreSQL',
      skip: noPostgres,
      address: async () => ({ postgres: (await postgres?.createDatabase()) ?? '' }),
    },
  ]
  return { kinds, postgres }
}
