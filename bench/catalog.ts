/**
 * The catalog with a million images, on SQLite and on PostgreSQL: pages of 50 for those who see all, for
 * projects with many and with few images, by order, by filter, far behind; and what a record costs to
 * read, to make and to delete. `bench/catalog.ts [--images N] [--only sqlite|postgres]`
 */
import { rm, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { makeContext } from '../src/base/context.ts'
import type { Database } from '../src/database/database.ts'
import { type DatabaseAddress, openDatabase } from '../src/database/open-database.ts'
import { catalogMigrations } from '../src/images/catalog-migrations.ts'
import type { Catalog, ImageFilter, ImageQuery, Sort, Viewer } from '../src/images/catalog.ts'
import type { Image } from '../src/images/image.ts'
import { openCatalog } from '../src/images/open-catalog.ts'
import { startPostgres } from '../src/testing/postgres.ts'
import { median } from './measure.ts'
import { EXIT } from '../src/base/failure.ts'

const PAGE = 50
const BAR_MS = 20
const TIMES = 15
const PAIRS = 2000
const GETS = 5000
/** When the first image was made. */
const FIRST_MS = 1.7e12

const { values } = parseArgs({
  options: { images: { type: 'string', default: '1000000' }, only: { type: 'string' } },
})
const count = Number(values.images)

const viewers: Readonly<Record<string, Viewer>> = {
  'all of them': { project: 'admins', all: true },
  'a project with half of them': { project: 'big', all: false },
  'a project with 100': { project: 'small', all: false },
}
const sorts: Readonly<Record<string, readonly Sort[]>> = {
  newest: [],
  name: [{ key: 'name', direction: 'asc' }],
  size: [{ key: 'size', direction: 'desc' }],
  updated_at: [{ key: 'updated_at', direction: 'desc' }],
}
const filters: Readonly<Record<string, ImageFilter>> = {
  'name (one)': { anyOf: { name: ['image-77'] } },
  'name (many)': { anyOf: { name: ['common'] } },
  'status (most)': { anyOf: { status: ['active'] } },
  'status (some)': { anyOf: { status: ['queued'] } },
  'status (none)': { anyOf: { status: ['saving'] } },
  'property (many)': { properties: { os_distro: 'debian' } },
  'property (few)': { properties: { batch: '7' } },
  'tag (many)': { tags: ['often'] },
  'tag (some)': { tags: ['some'] },
  'tag (few)': { tags: ['rare'] },
  'tag and status': { tags: ['some'], anyOf: { status: ['queued'] } },
  size_min: { numbers: [{ key: 'size', comparison: 'gte', value: 2 ** 40 - 1000 }] },
}

let missed = false
if (values.only !== 'postgres') {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-bench-'))
  await run('SQLite', { sqlite: join(directory, 'catalog.db') })
  await rm(directory, { recursive: true })
}
if (values.only !== 'sqlite') {
  await using postgres = await startPostgres({ shared_buffers: '512MB', max_wal_size: '4GB' })
  await run('PostgreSQL', { postgres: await postgres.createDatabase() })
}
process.exitCode = missed ? EXIT.differs : EXIT.done

async function run(name: string, address: DatabaseAddress): Promise<void> {
  await using database = await openDatabase(address, catalogMigrations, makeContext())
  const began = performance.now()
  await fill(address)
  console.log(`\n## ${name}, ${count} images (made in ${seconds(began)} s)\n`)
  const catalog = openCatalog(database)
  for (const [who, viewer] of Object.entries(viewers)) {
    for (const [order, sort] of Object.entries(sorts)) {
      await time(`${who}: by ${order}`, catalog, { viewer, filter: {}, sort, limit: PAGE })
      const after = await imageFarBehind(catalog, viewer)
      await time(`${who}: by ${order}, far behind`, catalog, {
        viewer,
        filter: {},
        sort,
        limit: PAGE,
        after,
      })
    }
    for (const [what, filter] of Object.entries(filters))
      for (const [order, sort] of Object.entries(sorts))
        await time(`${who}: ${what}, by ${order}`, catalog, { viewer, filter, sort, limit: PAGE })
    await time(
      `${who}: 1000 at once`,
      catalog,
      { viewer, filter: {}, sort: [], limit: 1000 },
      Infinity,
    )
  }
  await timeRecords(database, catalog)
}

/** An image that was made halfway; its name, size and last change are any. */
async function imageFarBehind(catalog: Catalog, viewer: Viewer): Promise<Image> {
  const time = new Date(FIRST_MS + (count / 2) * 1000)
  const times = [{ key: 'created_at', comparison: 'lte', time }] as const
  const [found] = await catalog.list({ viewer, filter: { times }, sort: [], limit: 1 })
  if (found === undefined) throw new Error('no image is so old')
  return found
}

async function time(
  what: string,
  catalog: Catalog,
  query: ImageQuery,
  barMs = BAR_MS,
): Promise<void> {
  const times: number[] = []
  let length = 0
  for (let n = 0; n < TIMES; n++) {
    const began = performance.now()
    length = (await catalog.list(query)).length
    times.push(performance.now() - began)
  }
  const isMissed = median(times) > barMs
  missed ||= isMissed
  console.log(
    `${isMissed ? 'MISSED ' : ''}${what}: ${median(times).toFixed(2)} ms (least ${Math.min(...times).toFixed(1)}, most ${Math.max(...times).toFixed(1)}), ${length} images`,
  )
}

async function timeRecords(database: Database, catalog: Catalog): Promise<void> {
  const ids = (
    await catalog.list({ viewer: { project: null, all: true }, filter: {}, sort: [], limit: 100 })
  ).map(({ id }) => id)
  const getting = performance.now()
  for (let n = 0; n < GETS; n++) await catalog.get(ids[n % ids.length] ?? '')
  console.log(`get: ${micros(getting, GETS)} µs`)
  const fresh = openCatalog(database)
  const known = ids[0] ?? ''
  const image = await fresh.get(known)
  if (image === undefined) throw new Error('no image')
  const pairing = performance.now()
  const cpu = process.cpuUsage()
  const one = async (n: number) => {
    const id = `${n}-${crypto.randomUUID()}`.slice(0, 36)
    await database.write((tx) =>
      catalog.insert(tx, { ...image, id, name: null, tags: [], properties: {} }),
    )
    await database.write((tx) => catalog.remove(tx, id))
  }
  for (let n = 0; n < PAIRS; n += 16)
    await Promise.all(Array.from({ length: 16 }, (_, k) => one(n + k)))
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    `create + delete, 16 at a time: ${micros(pairing, PAIRS)} µs a pair, ${((user + system) / PAIRS).toFixed(0)} µs of processor here`,
  )
}

/** Makes the images by the database itself, and the indexes anew once they are there: that is much faster. */
async function fill(address: DatabaseAddress): Promise<void> {
  const isSqlite = 'sqlite' in address
  await using maker = isSqlite ? sqliteMaker(address.sqlite) : await postgresMaker(address.postgres)
  const numbers = isSqlite
    ? `(with recursive s(n) as (select 1 union all select n + 1 from s where n < ${count}) select n from s) s`
    : `generate_series(1, ${count}::bigint) as s(n)`
  const hex = (value: string, width: number) =>
    isSqlite ? `printf('%0${width}x', ${value})` : `lpad(to_hex(${value}), ${width}, '0')`
  const id = `${hex('(n * 2654435761) % 4294967296', 8)} || '-0000-4000-8000-' || ${hex('n', 12)}`
  const mixed = `((n * 7919) % 1000003)`
  const created = `${FIRST_MS} + n * 1000`
  const [name, status, owner, visibility, tags, properties] = [
    `case when n % 50 = 0 then 'common' else 'image-' || ${mixed} end`,
    `case when n % 100 < 3 then 'queued' when n % 100 = 3 then 'deactivated' else 'active' end`,
    `case when n % 2 = 0 then 'big' when n % 10000 = 1 then 'small' else 'p' || (n % 1000) end`,
    `case when n % 100 < 2 then 'public' when n % 100 < 5 then 'community' when n % 100 < 50 then 'shared' else 'private' end`,
    `case when n % 10000 = 7 then '["often","rare"]' when n % 10 = 7 then '["often"]' when n % 100 = 3 then '["some"]' else '[]' end`,
    `case when n % 3 = 0 then '{"os_distro":"debian"}' when n % 5000 = 1 then '{"batch":"7"}' else '{"os_distro":"other"}' end`,
  ]
  await maker.withoutIndexes(async (run) => {
    await run(`
      insert into images select ${id}, ${name}, ${status}, ${visibility}, 0, 0, ${hex(mixed, 32)}, 'sha512',
        ${hex(mixed, 128)}, ${owner}, ${mixed} * 1048576, ${mixed} * 1048576, 'bare',
        case when n % 4 = 0 then 'raw' else 'qcow2' end, 0, 0, ${created}, ${FIRST_MS} + ${mixed} * 1000,
        ${tags}, ${properties}, '[]', n, 0, 0, 0
      from ${numbers}`)
    for (const tag of ['often', 'some', 'rare'])
      await run(
        `insert into image_tags select '${tag}', created_at, id from images where tags like '%"${tag}"%'`,
      )
    for (const [key, value] of [
      ['os_distro', 'debian'],
      ['os_distro', 'other'],
      ['batch', '7'],
    ])
      await run(
        `insert into image_properties select '${key}', '${value}', created_at, id from images where properties = '{"${key}":"${value}"}'`,
      )
    for (const [project, every] of [
      ['small', 1000],
      ['big', 100],
    ])
      await run(
        `insert into image_members select ${id}, '${project}', 'accepted', 0, 0, ${created} from ${numbers} where n % ${every} = 7`,
      )
  })
}

interface Maker extends AsyncDisposable {
  withoutIndexes(work: (run: (statement: string) => Promise<void>) => Promise<void>): Promise<void>
}

function sqliteMaker(path: string): Maker {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -500000')
  return {
    async withoutIndexes(work) {
      const indexes = db
        .prepare("select name, sql from sqlite_master where type = 'index' and sql is not null")
        .all()
      for (const index of indexes) db.exec(`drop index ${String(index['name'])}`)
      await work(async (statement) => db.exec(statement))
      for (const index of indexes) db.exec(String(index['sql']))
    },
    [Symbol.asyncDispose]: async () => db.close(),
  }
}

async function postgresMaker(url: string): Promise<Maker> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const run = async (statement: string) => void (await client.query(statement))
  return {
    async withoutIndexes(work) {
      await run("set synchronous_commit = off; set maintenance_work_mem = '512MB'")
      const { rows } = await client.query<{ name: string; text: string }>(
        "select indexname as name, indexdef as text from pg_indexes where schemaname = 'public' and indexname not like '%_pkey'",
      )
      for (const { name } of rows) await run(`drop index ${name}`)
      await work(run)
      for (const { text } of rows) await run(text)
      await run('vacuum analyze')
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(0)
}

function micros(began: number, times: number): string {
  return (((performance.now() - began) * 1000) / times).toFixed(0)
}
