import type { SelectQueryBuilder } from 'kysely'
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
