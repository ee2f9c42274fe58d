/** One connection to PostgreSQL, as Kysely wants it; its failures are ours. */
import type { ClientBase } from 'pg'
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { asPostgresFailure } from './_postgres-failure.ts'
import { asColumnValue } from './columns.ts'

export class PostgresConnection implements DatabaseConnection {
  readonly #client: ClientBase
  readonly #nameOf: (sql: string) => string | undefined

  constructor(client: ClientBase, nameOf: (sql: string) => string | undefined) {
    this.#client = client
    this.#nameOf = nameOf
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const name = this.#nameOf(sql)
    const values = parameters.map(asColumnValue)
    try {
      const { rows, rowCount } = await this.#client.query({
        text: sql,
        values,
        ...(name !== undefined && { name }),
      })
      return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
    } catch (error) {
      throw asPostgresFailure(error)
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query)
  }
}

const NAMED = 256

/**
 * Names for statements that come again: PostgreSQL parses what has a name only once for each connection. So
 * many at most, and only from the second time on, since what is never dropped must not grow.
 */
export function makeNames(): (sql: string) => string | undefined {
  const names = new Map<string, string>()
  let seen = new Set<string>()
  return (sql) => {
    const name = names.get(sql)
    if (name !== undefined || names.size >= NAMED) return name
    if (!seen.has(sql)) {
      if (seen.size >= NAMED) seen = new Set()
      seen.add(sql)
      return undefined
    }
    names.set(sql, `ingot${names.size}`)
    return names.get(sql)
  }
}
