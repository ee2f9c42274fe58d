import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { isFailure } from '../base/failure.ts'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import {
  add,
  addLarge,
  countUp,
  countUpLocked,
  names,
  openThings,
  things,
  type ThingTables,
} from '../testing/things-database.ts'
import type { Migration } from './database.ts'

const at = await tempDir()
const { kinds } = await openDatabaseKinds()

for (const { kind, skip, address } of kinds)
  describe(`a database of ${kind}`, { skip }, () => {
    it('runs each migration once, in the order of their names, whoever comes first', async () => {
      const where = await address()
      const ran: string[] = []
      const named = (name: string): Migration => ({ name, up: async () => void ran.push(name) })
      await using first = await openThings(where, [named('b-001'), things])
      const later = [named('c-001'), named('a-001'), things, named('b-001')]
      const others = await Promise.all([openThings(where, later), openThings(where, later)])
      for (const other of others) await other[Symbol.asyncDispose]()
      assert.deepEqual(ran, ['b-001', 'a-001', 'c-001'])
      assert.deepEqual(await names(first), [])
    })

    it('is not touched by a program that is older than its maker', async () => {
      const where = await address()
      const newer = { ...things, name: 'things-002', up: async () => {} }
      await (await openThings(where, [things, newer]))[Symbol.asyncDispose]()
      await assert.rejects(openThings(where), (error) => {
        return isFailure(error, 'CONFIG_INVALID') && error.message.includes('things-002')
      })
    })

    it('has nothing of a migration that failed', async () => {
      const where = await address()
      const broken = { name: 'z-001', up: () => Promise.reject(new Error('broken')) }
      await assert.rejects(openThings(where, [things, broken]), /broken/)
      await using database = await openThings(where)
      assert.deepEqual(await names(database), [])
    })

    it('keeps values as they are: truth as 0 and 1, times as milliseconds', async () => {
      const where = await address()
      const time = new Date(1_700_000_000_123)
      await using database = await openThings(where)
      await database.write(async (tx) => {
        const rows = [
          { name: 'a', count: 2 ** 53 - 1, flag: true, bytes: new Uint8Array([0, 255]) },
          { name: 'b', count: null, flag: time, bytes: null },
        ]
        await tx.as<ThingTables>().insertInto('things').values(rows).execute()
      })
      const db = database.read<ThingTables>()
      const [a, b] = await db.selectFrom('things').selectAll().orderBy('name').execute()
      assert.deepEqual(
        [a?.count, a?.flag, b?.count, b?.flag],
        [2 ** 53 - 1, 1, null, time.getTime()],
      )
      assert.deepEqual([...(a?.bytes ?? [])], [0, 255])
      const sum = await db
        .selectFrom('things')
        .select(sql<number>`sum(flag)`.as('sum'))
        .executeTakeFirst()
      assert.equal(sum?.sum, time.getTime() + 1)
    })

    it('sorts texts by code point', async () => {
      await using database = await openThings(await address())
      const sorted = ['', 'B', 'a', 'ä', '\u{ffee}', '🐧']
      for (const name of sorted.toReversed()) await database.write(add(name))
      assert.deepEqual(await names(database), sorted)
    })

    it('takes nothing of a write that throws, and all of those that waited with it', async () => {
      await using database = await openThings(await address())
      const results = await Promise.allSettled(
        ['a', 'b', 'c', 'd'].map((name) =>
          database.write(async (tx) => {
            await add(name)(tx)
            if (name === 'b') throw new Error('no b')
            return name
          }),
        ),
      )
      assert.deepEqual(
        results.map((result) =>
          result.status === 'fulfilled' ? result.value : String(result.reason),
        ),
        ['a', 'Error: no b', 'c', 'd'],
      )
      assert.deepEqual(await names(database), ['a', 'c', 'd'])
    })

    it('takes nothing of a write in which a query failed, even if nobody minds', async () => {
      await using database = await openThings(await address())
      await database.write(add('a'))
      await assert.rejects(
        database.write(async (tx) => {
          await add('b')(tx)
          await add('a')(tx).catch(() => {})
        }),
      )
      assert.deepEqual(await names(database), ['a'])
    })

    it('ends a transaction with its work', async () => {
      await using database = await openThings(await address())
      const kept = await database.write(async (tx) => tx)
      await assert.rejects(add('late')(kept), /after its end/)
      await assert.rejects(
        database
          .read()
          .transaction()
          .execute(async () => {}),
        /Database.write/,
      )
      assert.deepEqual(await names(database), [])
    })

    it('writes nothing outside of a transaction', async () => {
      await using database = await openThings(await address())
      await assert.rejects(
        database.read<ThingTables>().insertInto('things').values({ name: 'a', count: 1 }).execute(),
      )
      assert.deepEqual(await names(database), [])
    })

    it('loses no change of those who read and write the same at the same time', async () => {
      const where = await address()
      await using one = await openThings(where)
      await using other = await openThings(where)
      await one.write(add('a'))
      await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 ? one : other).write(countUp)))
      const row = await other
        .read<ThingTables>()
        .selectFrom('things')
        .selectAll()
        .executeTakeFirst()
      assert.equal(row?.count, 40)
    })

    it('loses no change of those who lock what they read, beside those who do not', async () => {
      const where = await address()
      await using one = await openThings(where)
      await using other = await openThings(where)
      await one.write(add('a'))
      await Promise.all(
        Array.from({ length: 45 }, (_, n) =>
          n % 3 === 0 ? one.write(countUp) : (n % 3 === 1 ? one : other).writeRows(countUpLocked),
        ),
      )
      const row = await other
        .read<ThingTables>()
        .selectFrom('things')
        .selectAll()
        .executeTakeFirst()
      assert.equal(row?.count, 45)
    })

    it('reads what was written, as soon as that has been told', async () => {
      await using database = await openThings(await address())
      for (let n = 0; n < 20; n++) {
        await database.write(add(`n${n}`))
        assert.equal((await names(database)).length, n + 1)
      }
    })

    it('finishes what waits before it is closed', async () => {
      const where = await address()
      const database = await openThings(where)
      const writes = ['a', 'b'].map((name) => database.write(add(name)))
      await database[Symbol.asyncDispose]()
      await Promise.all(writes)
      await using again = await openThings(where)
      assert.deepEqual(await names(again), ['a', 'b'])
    })
  })

describe('SQLite', () => {
  it('waits for another process that writes, without holding up this one', async () => {
    const path = at('busy.db')
    await using database = await openThings({ sqlite: path })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    let isDone = false
    const write = database.write(add('a')).then(() => (isDone = true))
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isDone, false)
    assert.deepEqual(await names(database), [])
    other.exec('COMMIT')
    await write
    other.close()
    assert.deepEqual(await names(database), ['a'])
  })

  it('says when the disk is full, and loses nothing of those that waited with it', async () => {
    const small: Migration = {
      name: 'small-001',
      up: async (db) => void (await sql`pragma max_page_count = 30`.execute(db)),
    }
    await using database = await openThings({ sqlite: at('small.db') }, [things, small])
    const results = await Promise.allSettled(
      [add('a'), addLarge, add('b')].map((work) => database.write(work)),
    )
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    await assert.rejects(database.write(addLarge), failsWith('DATABASE_FULL'))
    assert.deepEqual(await names(database), ['a', 'b'])
  })

  it('is readable for its owner only', async () => {
    await using database = await openThings({ sqlite: at('private.db') })
    await database.write(add('a'))
    for (const end of ['', '-wal', '-shm'])
      assert.equal(statSync(at(`private.db${end}`)).mode & 0o077, 0, end)
  })

  it('says that a file is not there, or is no database', async () => {
    await assert.rejects(openThings({ sqlite: at('none/a.db') }), failsWith('FILE_NOT_FOUND'))
    writeFileSync(at('text.db'), 'this is no database, however long it is made to be '.repeat(100))
    await assert.rejects(openThings({ sqlite: at('text.db') }), failsWith('DATABASE_AWAY'))
  })
})
