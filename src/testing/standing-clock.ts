/** A clock of the database that stands until it is moved, for tests of what leases last: machines may be slow. */
import { sql } from 'kysely'
import { Client } from 'pg'
import type { Database } from '../database/database.ts'
import type { DatabaseAddress } from '../database/open-database.ts'

/**
 * Of PostgreSQL: a function of ours is found before its own, and reads a sequence, which no transaction holds back. Of
 * SQLite the processes' clocks count.
 */
const STAND = `
  create sequence public.standing_clock;
  select setval('public.standing_clock', 1767225600000);
  create function public.statement_timestamp() returns timestamptz language sql volatile
    as $$ select to_timestamp(pg_sequence_last_value('public.standing_clock') / 1000.0) $$;
  do $$ begin
    execute format('alter database %I set search_path = public, pg_catalog', current_database());
  end $$;`

/** Has the clock of a database stand still for everyone who opens it from now on; its address. */
export async function withStandingClock(address: DatabaseAddress): Promise<DatabaseAddress> {
  if ('sqlite' in address) return address
  const client = new Client({ connectionString: address.postgres })
  await client.connect()
  try {
    await client.query(STAND)
  } finally {
    await client.end()
  }
  return address
}

export async function moveClock(database: Database, ms: number): Promise<void> {
  if (database.kind === 'sqlite') return
  const at = sql`pg_sequence_last_value('public.standing_clock') + ${Math.round(ms)}::bigint`
  await database.write((tx) => sql`select setval('public.standing_clock', ${at})`.execute(tx.as()))
}
