/** A database with one table, `things`, for tests of what databases do. */
import type { SelectQueryBuilder } from 'kysely'
import { makeContext } from '../base/context.ts'
import { columnTypes } from '../database/columns.ts'
import type { Database, Migration, Tx } from '../database/database.ts'
import { lockRows } from '../database/lock-rows.ts'
import { type DatabaseAddress, openDatabase } from '../database/open-database.ts'

export interface ThingTables {
  things: { name: string; count: number | null; flag?: unknown; bytes?: Uint8Array | null }
}

export const things: Migration = {
  name: 'things-001',
  async up(db, kind) {
    const { text, integer, bytes } = columnTypes(kind)
    await db.schema
      .createTable('things')
      .addColumn('name', text, (column) => column.primaryKey())
      .addColumn('count', integer)
      .addColumn('flag', integer)
      .addColumn('bytes', bytes)
      .execute()
  },
}

export const openThings = (address: DatabaseAddress, migrations: readonly Migration[] = [things]) =>
  openDatabase(address, migrations, makeContext())

export const add =
  (name: string, count = 0) =>
  (tx: Tx) =>
    tx.as<ThingTables>().insertInto('things').values({ name, count }).execute()

export const addLarge = (tx: Tx) =>
  tx
    .as<ThingTables>()
    .insertInto('things')
    .values({ name: 'l', count: 0, bytes: new Uint8Array(2 ** 20) })
    .execute()

export async function names(database: Database): Promise<string[]> {
  const rows = await database
    .read<ThingTables>()
    .selectFrom('things')
    .orderBy('name')
    .select('name')
    .execute()
  return rows.map(({ name }) => name)
}

/** Reads a number and writes one more: what is lost if two do so at the same time. */
export const countUp = (tx: Tx) => countUpBy(tx, (select) => select)

/** The same, of a row that nobody else may count up meanwhile. */
export const countUpLocked = (tx: Tx, name = 'a') =>
  countUpBy(tx, (select) => lockRows(tx, select), name)

type Select = SelectQueryBuilder<ThingTables, 'things', Pick<ThingTables['things'], 'count'>>

async function countUpBy(tx: Tx, how: (select: Select) => Select, name = 'a'): Promise<void> {
  const db = tx.as<ThingTables>()
  const select = db.selectFrom('things').select('count').where('name', '=', name)
  const { count } = await how(select).executeTakeFirstOrThrow()
  await db
    .updateTable('things')
    .set({ count: (count ?? 0) + 1 })
    .where('name', '=', name)
    .execute()
}
