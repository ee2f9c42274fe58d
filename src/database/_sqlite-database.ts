/**
 * SQLite: one file, written by one connection and read by another, in this process; other processes may
 * do the same beside us. Writes that wait at the same time become one transaction, and one sync of the disk.
 */
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { DatabaseConnection, Kysely } from 'kysely'
import { asFileFailure, isFailure } from '../base/failure.ts'
import type { Tx } from './database.ts'
import type { Migratable } from './_migrate.ts'
import { tryPatiently } from './_patience.ts'
import { Queries } from './_queries.ts'
import { asSqliteFailure, isBusy, SqliteConnection } from './_sqlite-connection.ts'

/** So many writes at most wait for one sync, so that no batch holds up the process for long. */
const BATCH = 64

const PRAGMAS = [
  'foreign_keys = ON',
  'busy_timeout = 0', // waiting is done by us, without holding up the process
  'cache_size = -32768', // KiB
  'temp_store = MEMORY',
]
const WRITER_PRAGMAS = ['journal_mode = WAL', 'synchronous = FULL', 'journal_size_limit = 67108864']

interface Waiting {
  /** Does the work, tells what came of it; to be kept back until it is on the medium. */
  run(): Promise<Outcome>
  reject(error: unknown): void
}

/** What is told to the caller once the work is on the medium. */
interface Outcome {
  failed: boolean
  settle(): void
}

export class SqliteDatabase implements Migratable {
  readonly kind = 'sqlite'
  readonly #queries = new Queries('sqlite')
  readonly #writer: DatabaseSync
  readonly #writing: DatabaseConnection
  readonly #reader: DatabaseSync
  readonly #reading: <Tables>() => Kysely<Tables>
  #waiting: Waiting[] = []
  /** The batches under way, and those that wait. */
  #flushing: Promise<void> | undefined

  private constructor(writer: DatabaseSync, path: string) {
    this.#writer = writer
    this.#writing = new SqliteConnection(writer)
    this.#reader = new DatabaseSync(path, { readOnly: true })
    for (const pragma of PRAGMAS) this.#reader.exec(`PRAGMA ${pragma}`)
    const connection = new SqliteConnection(this.#reader)
    this.#reading = this.#queries.reading({
      provideConnection: (consumer) =>
        tryPatiently(
          () => consumer(connection),
          (error) => isFailure(error, 'DATABASE_BUSY'),
        ),
    })
  }

  /** Opens the file, and makes it if it is not there: for its owner only. */
  static async open(path: string): Promise<SqliteDatabase> {
    let writer: DatabaseSync | undefined
    try {
      closeSync(openSync(path, 'a', 0o600))
      writer = new DatabaseSync(path)
      for (const pragma of PRAGMAS) writer.exec(`PRAGMA ${pragma}`)
      const made = writer
      return await tryPatiently(async () => {
        for (const pragma of WRITER_PRAGMAS) made.exec(`PRAGMA ${pragma}`)
        return new SqliteDatabase(made, path)
      }, isBusy)
    } catch (error) {
      writer?.close()
      throw asFileFailure(asSqliteFailure(error), path)
    }
  }

  read<Tables>(): Kysely<Tables> {
    return this.#reading<Tables>()
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run: () => this.#runOne(work, resolve, reject), reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** What `write` does: there is but one writer, who has all rows. */
  writeRows<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.write(work)
  }

  /** What `write` does: there is but one writer, whatever the lock. */
  writeAlone<T>(_lock: number, work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.write(work)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing
    this.#reader.close()
    this.#writer.close()
  }

  /** Runs batch after batch until nobody waits. Never rejects. */
  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      // all who are served by this turn of the event loop come along
      await new Promise<void>((resolve) => setImmediate(resolve))
      await this.#commitTogether(this.#waiting.splice(0, BATCH))
    }
    this.#flushing = undefined
  }

  /** One transaction for all of them; if it cannot stand, one for each. */
  async #commitTogether(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#transact(batch)
      for (const outcome of outcomes) outcome.settle()
    } catch (error) {
      if (batch.length > 1) for (const one of batch) await this.#commitTogether([one])
      else for (const one of batch) one.reject(error)
    }
  }

  async #transact(batch: readonly Waiting[]): Promise<Outcome[]> {
    await tryPatiently(async () => this.#writer.exec('BEGIN IMMEDIATE'), isBusy).catch((error) => {
      throw asSqliteFailure(error)
    })
    try {
      const outcomes: Outcome[] = []
      for (const one of batch) {
        this.#writer.exec('SAVEPOINT one')
        const outcome = await one.run()
        // A full disk may have ended the whole transaction, and with it what others did before.
        if (!this.#writer.isTransaction) {
          if (batch.length > 1) throw new Error('the transaction was lost')
          return [outcome]
        }
        this.#writer.exec(outcome.failed ? 'ROLLBACK TO one; RELEASE one' : 'RELEASE one')
        outcomes.push(outcome)
      }
      this.#writer.exec('COMMIT')
      return outcomes
    } catch (error) {
      if (this.#writer.isTransaction) this.#writer.exec('ROLLBACK')
      throw asSqliteFailure(error)
    }
  }

  async #runOne<T>(
    work: (tx: Tx) => Promise<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): Promise<Outcome> {
    try {
      const value = await this.#queries.run(this.#writing, work)
      return { failed: false, settle: () => resolve(value) }
    } catch (error) {
      return { failed: true, settle: () => reject(error) }
    }
  }
}
