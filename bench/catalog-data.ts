/**
 * A catalog of any size for `bench/catalog.ts`: made by the database itself, and its indexes anew once the
 * rows are there, which is a hundred times faster than image after image. Values are spread evenly over
 * time, but for those meant to be hard: names and tags that only old images have, or images of others.
 */
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { DatabaseAddress } from '../src/database/open-database.ts'

/** When the first image was made; then one each second. */
const FIRST_MS = 1.7e12
/** A prime, so that multiples of any number but it are spread over all that is below. */
const MANY = 4_294_967_291
/** What is spread differently has a factor of its own. */
const FACTORS = {
  id: 2_654_435_761,
  name: 1_597_334_677,
  status: 2_246_822_519,
  visibility: 3_266_489_917,
  owner: 668_265_263,
  tag: 374_761_393,
  property: 2_869_860_233,
  size: 1_103_515_245,
  changed: 3_039_177_861,
}

const TAGS: Readonly<Record<string, (parts: Parts) => string>> = {
  often: ({ spread }) => `${spread('tag', 1000)} < 100`,
  some: ({ spread }) => `${spread('tag', 1000)} between 100 and 109`,
  rare: ({ spread }) => `${spread('tag', 10_000)} = 2000`,
  old: ({ spread, isOld }) => `${isOld} and ${spread('tag', 1000)} >= 500`,
  foreign: ({ spread, owner }) =>
    `${owner} not in ('big', 'small') and ${spread('tag', 1000)} between 300 and 399 and ${spread('visibility', 1000)} >= 500`,
}
const PROPERTIES: readonly (readonly [name: string, value: string])[] = [
  ['os_distro', 'debian'],
  ['os_distro', 'other'],
  ['batch', '7'],
]

interface Parts {
  /** A whole number below `below`. */
  spread(what: keyof typeof FACTORS, below: number): string
  readonly owner: string
  readonly isOld: string
}

/** What the makers of the two databases have in common. */
interface Maker extends AsyncDisposable {
  run(statement: string): Promise<void>
  /** Drops what slows down filling; the statements that make it again. */
  dropIndexes(): Promise<readonly string[]>
  /** What is told about rows, so that queries are planned well. */
  readonly finish: string
  numbers(count: number): string
  hex(value: string, width: number): string
}

export async function fillCatalog(address: DatabaseAddress, count: number): Promise<void> {
  await using maker =
    'sqlite' in address ? openSqlite(address.sqlite) : await openPostgres(address.postgres)
  const indexes = await maker.dropIndexes()
  for (const statement of rowsOf(maker, count)) await maker.run(statement)
  for (const statement of indexes) await maker.run(statement)
  await maker.run(maker.finish)
}

/** The time at which a part of all images had been made. */
export function timeOf(part: number, count: number): Date {
  return new Date(FIRST_MS + Math.floor(part * count) * 1000)
}

function* rowsOf({ numbers, hex }: Maker, count: number): Generator<string> {
  const spread: Parts['spread'] = (what, below) =>
    `(((n % 1000003) * ${FACTORS[what]} % ${MANY}) / 7 % ${below})`
  const owner = `(case when n % 10000 = 1 then 'small' when ${spread('owner', 1000)} < 500 then 'big' else 'p' || ${spread('owner', 1000)} end)`
  const parts: Parts = { spread, owner, isOld: `n < ${count / 10}` }
  const id = `${hex(`n * ${FACTORS.id} % ${MANY}`, 8)} || '-0000-4000-8000-' || ${hex('n', 12)}`
  const created = `${FIRST_MS} + n * 1000`
  const tags = Object.entries(TAGS).map(
    ([tag, holds]) => `case when ${holds(parts)} then ',"${tag}"' else '' end`,
  )
  yield `
    insert into images select ${id},
      case when ${spread('name', 1000)} < 20 then 'common' when ${parts.isOld} and ${spread('name', 1000)} < 320 then 'old' else 'image-' || ${spread('name', count)} end,
      case when ${spread('status', 1000)} < 30 then 'queued' when ${spread('status', 1000)} < 40 then 'deactivated' else 'active' end,
      case when ${spread('visibility', 1000)} < 20 then 'public' when ${spread('visibility', 1000)} < 50 then 'community' when ${spread('visibility', 1000)} < 500 then 'shared' else 'private' end,
      0, 0, ${hex('n', 32)}, 'sha512', ${hex('n', 128)}, ${owner}, ${spread('size', 1_000_000)} * 1048576, ${spread('size', 1_000_000)} * 1048576, 'bare',
      case when ${spread('size', 4)} = 0 then 'raw' else 'qcow2' end, 0, 0, ${created}, ${created} + ${spread('changed', count)} * 1000,
      '[' || substr(${tags.join(' || ')}, 2) || ']',
      case when ${spread('property', 5000)} = 1 then '{"batch":"7"}' when ${spread('property', 5000)} < 1700 then '{"os_distro":"debian"}' else '{"os_distro":"other"}' end,
      '[]', n, 0, 0, 0
    from ${numbers(count)}`
  for (const tag of Object.keys(TAGS))
    yield `insert into image_tags select '${tag}', created_at, id from images where tags like '%"${tag}"%'`
  for (const [name, value] of PROPERTIES)
    yield `insert into image_properties select '${name}', '${value}', created_at, id from images where properties = '{"${name}":"${value}"}'`
  for (const [project, every] of Object.entries({ small: 1000, big: 100 }))
    yield `insert into image_members select ${id}, '${project}', 'accepted', 0, 0, ${created} from ${numbers(count)} where n % ${every} = 7`
}

function openSqlite(path: string): Maker {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000')
  return {
    run: async (statement) => db.exec(statement),
    async dropIndexes() {
      const indexes = db
        .prepare("select name, sql from sqlite_master where type = 'index' and sql is not null")
        .all()
      for (const { name } of indexes) db.exec(`drop index ${String(name)}`)
      return indexes.map((index) => String(index['sql']))
    },
    finish: 'PRAGMA journal_mode = WAL',
    numbers: (count) =>
      `(with recursive s(n) as (select 1 union all select n + 1 from s where n < ${count}) select n from s) s`,
    hex: (value, width) => `printf('%0${width}x', ${value})`,
    [Symbol.asyncDispose]: async () => db.close(),
  }
}

async function openPostgres(url: string): Promise<Maker> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query("set synchronous_commit = off; set maintenance_work_mem = '512MB'")
  return {
    run: async (statement) => void (await client.query(statement)),
    async dropIndexes() {
      const { rows } = await client.query<{ name: string; text: string }>(
        "select indexname as name, indexdef as text from pg_indexes where schemaname = 'public' and indexname not like '%_pkey'",
      )
      for (const { name } of rows) await client.query(`drop index ${name}`)
      return rows.map(({ text }) => text)
    },
    finish: 'vacuum analyze',
    numbers: (count) => `generate_series(1, ${count}::bigint) as s(n)`,
    hex: (value, width) => `lpad(to_hex(${value}), ${width}, '0')`,
    [Symbol.asyncDispose]: () => client.end(),
  }
}
