/** Types of columns that hold, sort and compare alike on both databases; for `Migration.up`. */
import { sql } from 'kysely'
import type { DatabaseKind } from './database.ts'

/**
 * Text sorts by its bytes in UTF-8 on both, which is by code point. Integers reach to 2^53; truth values
 * are the integers 0 and 1, times are milliseconds since the epoch (both are converted when written).
 */
export function columnTypes(kind: DatabaseKind) {
  return kind === 'sqlite'
    ? { text: sql`text`, integer: sql`integer`, real: sql`real`, bytes: sql`blob` }
    : {
        text: sql`text collate "C"`,
        integer: sql`bigint`,
        real: sql`double precision`,
        bytes: sql`bytea`,
      }
}

/** A value as both databases keep it: truth values are 0 and 1, times milliseconds since the epoch. */
export function asColumnValue(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof Date ? value.getTime() : value
}
