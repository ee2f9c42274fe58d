import { type SelectQueryBuilder, sql } from 'kysely'
import type { Tx } from './database.ts'

/**
 * What is selected, locked until the transaction ends: nobody else changes it, or locks it, before that. Rows are as the
 * last one left them who had them locked. (SQLite has one writer at a time, to whom everything is locked.)
 */
export function lockRows<Tables, Table extends keyof Tables, Row>(
  tx: Tx,
  select: SelectQueryBuilder<Tables, Table, Row>,
): SelectQueryBuilder<Tables, Table, Row> {
  return tx.kind === 'postgres' ? select.forUpdate() : select
}

/** Keeps out who names the same, until the transaction ends: for what is counted, where there is no row to be locked. */
export async function lockName(tx: Tx, name: string): Promise<void> {
  if (tx.kind === 'postgres')
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(tx.as())
}
