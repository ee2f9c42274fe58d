/** Brings a database to what this program knows: once each, in order, all or nothing. */
import { Failure } from '../base/failure.ts'
import type { Database, Migration, Tx } from './database.ts'
import { columnTypes } from './columns.ts'

interface MigrationTables {
  migrations: { name: string; applied_at: number }
}

/** A database before it is handed out. */
export interface Migratable extends Database {
  /** As `write`, while no other process does so with the same lock, and for as long as it takes. */
  writeAlone<T>(lock: number, work: (tx: Tx) => Promise<T>): Promise<T>
}

/** Names the lock that servers who start at the same time wait for; any number that nobody else takes. */
const LOCK = 0x1960_7000

/**
 * Runs, in one transaction, the migrations that were not run yet.
 * Fails with CONFIG_INVALID when the database has seen migrations that are not in the list.
 */
export async function migrate(
  database: Migratable,
  migrations: readonly Migration[],
  now: () => Date,
): Promise<void> {
  const sorted = migrations.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const known = new Set(sorted.map(({ name }) => name))
  await database.writeAlone(LOCK, async (tx) => {
    const db = tx.as<MigrationTables>()
    const { text, integer } = columnTypes(tx.kind)
    await db.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('name', text, (column) => column.primaryKey())
      .addColumn('applied_at', integer, (column) => column.notNull())
      .execute()
    const done = new Set(
      (await db.selectFrom('migrations').select('name').execute()).map(({ name }) => name),
    )
    const unknown = [...done].filter((name) => !known.has(name))
    if (unknown.length > 0)
      throw new Failure(
        'CONFIG_INVALID',
        `the database was made by a newer Ingot: it has ${unknown.join(', ')}`,
        { details: { unknown }, fix: 'Run the newer version, or name another database.' },
      )
    for (const migration of sorted) {
      if (done.has(migration.name)) continue
      await migration.up(tx.as<never>(), tx.kind)
      const row = { name: migration.name, applied_at: now().getTime() }
      await db.insertInto('migrations').values(row).execute()
    }
  })
}
