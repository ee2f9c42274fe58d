/** Query builders over connections of ours: Kysely's own would bring their own ways to begin and to commit. */
import {
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type Dialect,
  DummyDriver,
  Kysely,
  type KyselyProps,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SingleConnectionProvider,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  Transaction,
} from 'kysely'
import type { DatabaseKind, Tx } from './database.ts'

/** What Kysely asks for when it is told to begin a transaction by itself: that is for `Database.write` only. */
class NoTransactions extends DummyDriver {
  override beginTransaction(): Promise<void> {
    return Promise.reject(new Error('transactions are begun by Database.write'))
  }
}

const DIALECTS: Readonly<Record<DatabaseKind, Dialect>> = {
  sqlite: {
    createDriver: () => new NoTransactions(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  },
  postgres: {
    createDriver: () => new NoTransactions(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  },
}

/** What builds and runs the queries of one database, by connections that are handed in. */
export class Queries {
  readonly #kind: DatabaseKind
  readonly #propsOf: (provider: ConnectionProvider) => KyselyProps

  constructor(kind: DatabaseKind) {
    const dialect = DIALECTS[kind]
    const driver = dialect.createDriver()
    const compiler = dialect.createQueryCompiler()
    const adapter = dialect.createAdapter()
    this.#kind = kind
    this.#propsOf = (provider) => ({
      config: { dialect },
      dialect,
      driver,
      executor: new DefaultQueryExecutor(compiler, adapter, provider),
    })
  }

  /** For queries outside of transactions, of whichever tables. */
  reading(provider: ConnectionProvider): <Tables>() => Kysely<Tables> {
    const props = this.#propsOf(provider)
    return <Tables>() => new Kysely<Tables>(props)
  }

  /**
   * Does the work of a transaction; to begin and to end it is the caller's. One query that failed is the
   * end of it, also where `work` catches what it threw: on PostgreSQL nothing could follow.
   */
  async run<T>(connection: DatabaseConnection, work: (tx: Tx) => Promise<T>): Promise<T> {
    const single = new SingleConnectionProvider(connection)
    let isOpen = true
    let failed: { error: unknown } | undefined
    const props = this.#propsOf({
      provideConnection: async (consumer) => {
        if (!isOpen) throw new Error('a transaction was used after its end')
        if (failed) throw failed.error
        try {
          return await single.provideConnection(consumer)
        } catch (error) {
          failed ??= { error }
          throw error
        }
      },
    })
    const as = <Tables>() => new Transaction<Tables>(props)
    try {
      const value = await work({ kind: this.#kind, as })
      if (failed) throw failed.error
      return value
    } finally {
      isOpen = false
    }
  }
}
