/** Opens the database, and brings it to what this program knows. */
import type { Context } from '../base/context.ts'
import type { Database, Migration } from './database.ts'
import { migrate, type Migratable } from './_migrate.ts'

/** Where it is: a file, or `postgres://user:password@host:port/name`. */
export type DatabaseAddress = { readonly sqlite: string } | { readonly postgres: string }

/**
 * The database at `address`, with all `migrations` done. An SQLite file is made if it is not there (in a
 * directory that is); a database of PostgreSQL must be there, empty or ours.
 * Fails with CONFIG_INVALID (a newer program made it; there is no such database or user), DATABASE_AWAY,
 * DATABASE_BUSY, DATABASE_FULL, FILE_NOT_FOUND, FILE_UNREADABLE.
 */
export async function openDatabase(
  address: DatabaseAddress,
  migrations: readonly Migration[],
  context: Pick<Context, 'log' | 'now'>,
): Promise<Database> {
  const database = await connect(address, context)
  try {
    await migrate(database, migrations, context.now)
    return database
  } catch (error) {
    await database[Symbol.asyncDispose]()
    throw error
  }
}

async function connect(
  address: DatabaseAddress,
  context: Pick<Context, 'log'>,
): Promise<Migratable> {
  if ('sqlite' in address) {
    const { SqliteDatabase } = await import('./_sqlite-database.ts')
    return await SqliteDatabase.open(address.sqlite)
  }
  const { PostgresDatabase } = await import('./_postgres-database.ts')
  return PostgresDatabase.open(address.postgres, context.log)
}
