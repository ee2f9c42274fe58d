/**
 * The database in which Ingot keeps what it must not forget: one file (SQLite, the embedded default) or a
 * PostgreSQL that several servers share. Rooms above own their tables: each brings its migrations and
 * its queries, which are the same on both. Callers never see which of the two it is, but for `kind`.
 */
import type { Kysely, Transaction } from 'kysely'

/** What a room adds to the database. Names sort in the order in which they are run, once each. */
export interface Migration {
  /** `tasks-001`: the room, and a number of its own. */
  readonly name: string
  up(db: Kysely<never>, kind: DatabaseKind): Promise<void>
}

export type DatabaseKind = 'sqlite' | 'postgres'

/** Queries inside of a `write`. Rooms see their own tables of it (`tx.as<TaskTables>()`). */
export interface Tx {
  readonly kind: DatabaseKind
  as<Tables>(): Transaction<Tables>
}

export interface Database extends AsyncDisposable {
  readonly kind: DatabaseKind
  /** For reading, outside of any transaction. Fails with DATABASE_AWAY. */
  read<Tables>(): Kysely<Tables>
  /**
   * Runs `work` as one transaction: all of it is on the medium when this resolves, or none of it. What
   * `work` read has not been changed by others meanwhile; to that end it may be run more than once, so
   * it does nothing but query. Writes that wait at the same time may be committed together.
   * Fails with DATABASE_AWAY, DATABASE_BUSY, DATABASE_FULL, and with what `work` throws.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * As `write`, for what comes often and is about a few rows: it waits for others at these rows, and collides with nobody
   * at rows beside them, as serialisable transactions do. In return it cares for what it read by itself: a row on which
   * something depends is locked when it is read (`lockRows`), or changed by one statement that says how it must be.
   * Whoever else depends on such rows, in a `write` too, locks or changes them as well.
   */
  writeRows<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}
