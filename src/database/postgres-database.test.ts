import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { noPostgres, openPostgres } from '../testing/postgres.ts'
import {
  add,
  countUpLocked,
  names,
  openThings,
  type ThingTables,
} from '../testing/things-database.ts'

const postgres = noPostgres ? undefined : await openPostgres()

describe('PostgreSQL', { skip: noPostgres }, () => {
  it('is away while it is stopped, and is there again once it runs', async () => {
    const url = (await postgres?.createDatabase()) ?? ''
    await using database = await openThings({ postgres: url })
    await database.write(add('a'))
    for (const mode of ['fast', 'immediate'] as const) {
      await postgres?.stop(mode)
      await assert.rejects(names(database), failsWith('DATABASE_AWAY'))
      await assert.rejects(database.write(add('b')), failsWith('DATABASE_AWAY'))
      await assert.rejects(openThings({ postgres: url }), failsWith('DATABASE_AWAY'))
      await postgres?.start()
      assert.deepEqual(await names(database), ['a'])
    }
    await database.write(add('b'))
    assert.deepEqual(await names(database), ['a', 'b'])
  })

  it('begins nothing again for the sake of rows that nobody else touches', async () => {
    assert.ok(postgres)
    await using database = await openThings({ postgres: await postgres.createDatabase() })
    const all = Array.from({ length: 40 }, (_, n) => `n${n}`)
    for (const name of all) await database.write(add(name))
    let begun = 0
    const change = (name: string) =>
      database.writeRows(async (tx) => {
        begun += 1
        await countUpLocked(tx, name)
      })
    for (let times = 0; times < 5; times++) await Promise.all(all.map(change))
    assert.equal(begun, 5 * all.length)
  })

  it('begins again when two wait for each other', async () => {
    assert.ok(postgres)
    await using database = await openThings({ postgres: await postgres.createDatabase() })
    for (const name of ['a', 'b']) await database.write(add(name))
    const both = Promise.withResolvers<void>()
    let first = 0
    const change = (...names: readonly [string, string]) =>
      database.writeRows(async (tx) => {
        await countUpLocked(tx, names[0])
        if ((first += 1) === 2) both.resolve()
        await both.promise
        await countUpLocked(tx, names[1])
      })
    await Promise.all([change('a', 'b'), change('b', 'a')])
    const rows = await database.read<ThingTables>().selectFrom('things').select('count').execute()
    assert.deepEqual(rows, [{ count: 2 }, { count: 2 }])
    assert.equal(first, 3)
  })

  it('says that there is no such database', async () => {
    const url = (await postgres?.createDatabase()) ?? ''
    await assert.rejects(
      openThings({ postgres: url.replace(/test\d+/, 'nowhere') }),
      failsWith('CONFIG_INVALID'),
    )
  })

  it('refuses a text with a character that it cannot keep', async () => {
    await using database = await openThings({ postgres: (await postgres?.createDatabase()) ?? '' })
    await assert.rejects(database.write(add('a\0b')), failsWith('REQUEST_INVALID'))
  })
})
