/** One connection to an SQLite file, as Kysely wants it; its failures are ours. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { Failure, messageOf } from '../base/failure.ts'
import { Recent } from '../bytes/recent.ts'
import { asColumnValue } from './columns.ts'

const KEPT_STATEMENTS = 256

interface Prepared {
  statement: StatementSync
  /** It gives rows; else it tells how many it changed. */
  isReader: boolean
}

export class SqliteConnection implements DatabaseConnection {
  readonly #db: DatabaseSync
  readonly #prepared = new Recent<string, Prepared>(KEPT_STATEMENTS)

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    try {
      return this.#execute(sql, parameters)
    } catch (error) {
      throw asSqliteFailure(error)
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query)
  }

  #execute<Row>(sql: string, parameters: readonly unknown[]): QueryResult<Row> {
    const { statement, isReader } = this.#prepare(sql)
    const values = parameters.map(asColumnValue) as SQLInputValue[]
    if (isReader) return { rows: statement.all(...values) as Row[] }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  #prepare(sql: string): Prepared {
    const kept = this.#prepared.get(sql)
    if (kept !== undefined) return kept
    const statement = this.#db.prepare(sql)
    const prepared = { statement, isReader: statement.columns().length > 0 }
    this.#prepared.set(sql, prepared, 1)
    return prepared
  }
}

/** Source: sqlite.org/rescode.html; the low byte is the kind of error. */
const CODES = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  io: 10,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
}

/** The kind of an error of SQLite; undefined for errors of anything else. */
function kindOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}

/** Whether somebody else writes just now, so that it is worth trying again. */
export function isBusy(error: unknown): boolean {
  const kind = kindOf(error)
  return kind === CODES.busy || kind === CODES.locked
}

/** An error of SQLite as a Failure, where it is one that was foreseen. */
export function asSqliteFailure(error: unknown): unknown {
  const kind = kindOf(error)
  const options = { cause: error, details: { sqlite: kind } }
  switch (kind) {
    case CODES.busy:
    case CODES.locked:
      return new Failure('DATABASE_BUSY', 'another process holds the database', options)
    case CODES.full:
      return new Failure('DATABASE_FULL', 'no space left for the database', options)
    case CODES.io:
      return new Failure('DATABASE_AWAY', `the database cannot be used: ${messageOf(error)}`, {
        ...options,
        fix: 'See whether its disk is full, or broken.', // of a full one it says no more than this
      })
    case CODES.readOnly:
    case CODES.cannotOpen:
    case CODES.notADatabase:
      return new Failure(
        'DATABASE_AWAY',
        `the database cannot be used: ${messageOf(error)}`,
        options,
      )
    default:
      return error
  }
}
