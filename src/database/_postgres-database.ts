/**
 * PostgreSQL, which several servers may share. Transactions are serialisable and tried again when they
 * collide, or stand by the rows that they lock; a connection that was lost is replaced by the next one who needs it.
 */
import { CompiledQuery, type DatabaseConnection, type Kysely } from 'kysely'
import { Pool, types } from 'pg'
import type { Log } from '../base/log.ts'
import { makeNames, PostgresConnection } from './_postgres-connection.ts'
import { asPostgresFailure, isCollision, isDuplicate, isLost } from './_postgres-failure.ts'
import { tryPatiently } from './_patience.ts'
import { Queries } from './_queries.ts'
import type { Tx } from './database.ts'
import type { Migratable } from './_migrate.ts'

const CONNECTIONS = 10
const CONNECT_MS = 5000
/** How long a statement may run, and how long we wait for its answer: the network may have gone silent. */
const STATEMENT_MS = 10_000
const ANSWER_MS = 12_000
const IDLE_IN_TRANSACTION_MS = 30_000
/** A row in the way may be one that was not to be seen; if it is still there, it is really in the way. */
const DUPLICATE_RUNS = 3

const SETTINGS = [
  'default_transaction_read_only=on', // who writes says so
  'jit=off', // to compile a query takes longer than any query of ours
  'random_page_cost=1.1', // what we ask for by an index is in memory, or on a disk without arms
]

const SERIALIZABLE = 'BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE'
/** Each statement sees what others have done before it began, and waits for those who change its rows. */
const BY_ROWS = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE'

/** Whole numbers are numbers here, and so are their sums, which PostgreSQL has as `numeric`. */
const NUMBERS = new Set<number>([types.builtins.INT8, types.builtins.NUMERIC])
const parserOf: typeof types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  NUMBERS.has(oid) ? Number : types.getTypeParser(oid, format)

export class PostgresDatabase implements Migratable {
  readonly kind = 'postgres'
  readonly #queries = new Queries('postgres')
  readonly #pool: Pool
  readonly #reading: <Tables>() => Kysely<Tables>
  readonly #nameOf = makeNames()
  /** Those who have a connection, or wait for one. */
  readonly #users = new Set<Promise<unknown>>()

  private constructor(pool: Pool) {
    this.#pool = pool
    this.#reading = this.#queries.reading({
      provideConnection: (consumer) => this.#lend(consumer),
    })
  }

  static open(url: string, log: Log): PostgresDatabase {
    const pool = new Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: ANSWER_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      keepAlive: true,
      application_name: 'ingot',
      options: SETTINGS.map((setting) => `-c ${setting}`).join(' '),
      types: { getTypeParser: parserOf },
    })
    const tell = (error: Error) => log.warn('database.connection-lost', { reason: error.message })
    pool.on('error', tell)
    pool.on('connect', (client) => client.on('error', () => {})) // told by the query that meets it
    return new PostgresDatabase(pool)
  }

  read<Tables>(): Kysely<Tables> {
    return this.#reading<Tables>()
  }

  async write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let duplicates = 0
    return await tryPatiently(
      () => this.#lend((connection) => this.#transact(connection, SERIALIZABLE, work)),
      (error) => isCollision(error) || (isDuplicate(error) && ++duplicates < DUPLICATE_RUNS),
    )
  }

  async writeRows<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return await tryPatiently(
      () => this.#lend((connection) => this.#transact(connection, BY_ROWS, work)),
      isCollision, // two wait for each other
    )
  }

  /** Runs `work` as a transaction while no other process does so with the same lock, for as long as it takes. */
  async writeAlone<T>(lock: number, work: (tx: Tx) => Promise<T>): Promise<T> {
    return await this.#lend((connection) =>
      this.#transact(
        connection,
        `${BY_ROWS}; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(${lock})`,
        work,
      ),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#users.size > 0) await Promise.allSettled(this.#users)
    await this.#pool.end()
  }

  /** Begins, does the work, commits. */
  async #transact<T>(
    connection: DatabaseConnection,
    begin: string,
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    try {
      await connection.executeQuery(CompiledQuery.raw(begin))
      const value = await this.#queries.run(connection, work)
      await connection.executeQuery(CompiledQuery.raw('COMMIT'))
      return value
    } catch (error) {
      if (!isLost(error)) await connection.executeQuery(CompiledQuery.raw('ROLLBACK'))
      throw error
    }
  }

  /** Lends a connection of the pool; one that was lost meanwhile does not come back to it. */
  #lend<T>(use: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const user = this.#lendNow(use).finally(() => this.#users.delete(user))
    this.#users.add(user)
    return user
  }

  async #lendNow<T>(use: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw asPostgresFailure(error)
    })
    try {
      const result = await use(new PostgresConnection(client, this.#nameOf))
      client.release()
      return result
    } catch (error) {
      client.release(isLost(error))
      throw error
    }
  }
}
