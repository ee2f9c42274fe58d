/**
 * The catalog with a million images, on SQLite and on PostgreSQL: pages of 50 for one who sees all, for a
 * project with many and for one with few images, first and deep, by order, by filter; and what a record costs
 * to read, to make and to delete.
 * `bench/catalog.ts [--images N] [--only sqlite|postgres] [--times N] [--runs N]`
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeContext } from '../src/base/context.ts'
import { EXIT } from '../src/base/failures.ts'
import type { Database } from '../src/database/database.ts'
import { type DatabaseAddress, openDatabase } from '../src/database/open-database.ts'
import { catalogMigrations } from '../src/images/catalog-migrations.ts'
import type { Catalog, ImageFilter, ImageQuery, Sort, Viewer } from '../src/images/catalog.ts'
import { openCatalog } from '../src/images/open-catalog.ts'
import { startPostgres } from '../src/testing/postgres.ts'
import { fillCatalog, timeOf } from './catalog-data.ts'
import { median } from './measure.ts'

const PAGE = 50
const BAR_MS = 20
const PAIRS = 2000
const GETS = 5000
/** Memory, so that no disk is measured; a server's page cache is warm, too. */
const SHARED_MEMORY = '/dev/shm'

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    times: { type: 'string', default: '15' },
    runs: { type: 'string' }, // as all of bench/ takes it: here each query is run `times` times
  },
})
const count = Number(values.images)
const times = Number(values.times)

const VIEWERS: Readonly<Record<string, Viewer>> = {
  all: { project: 'admins', all: true },
  many: { project: 'big', all: false },
  few: { project: 'small', all: false },
}
const SORTS: Readonly<Record<string, readonly Sort[]>> = {
  newest: [],
  name: [{ key: 'name', direction: 'asc' }],
  size: [{ key: 'size', direction: 'desc' }],
  updated_at: [{ key: 'updated_at', direction: 'desc' }],
}
const FILTERS: Readonly<Record<string, ImageFilter>> = {
  none: {},
  'name of 3': { anyOf: { name: ['image-100068'] } },
  'name of 2 %': { anyOf: { name: ['common'] } },
  'name of 3 %, old': { anyOf: { name: ['old'] } },
  'status of 96 %': { anyOf: { status: ['active'] } },
  'status of 3 %': { anyOf: { status: ['queued'] } },
  'status of 1 %': { anyOf: { status: ['deactivated'] } },
  'status of none': { anyOf: { status: ['saving'] } },
  'property of 33 %': { properties: { os_distro: 'debian' } },
  'property of 200': { properties: { batch: '7' } },
  'tag of 10 %': { tags: ['often'] },
  'tag of 1 %': { tags: ['some'] },
  'tag of 100': { tags: ['rare'] },
  'tag of 5 %, old': { tags: ['old'] },
  'tag of 2.5 %, foreign': { tags: ['foreign'] },
  'tag of 1 %, status of 3 %': { tags: ['some'], anyOf: { status: ['queued'] } },
  'tag of 10 %, property of 33 %': { tags: ['often'], properties: { os_distro: 'debian' } },
  'owner of 50 %': { owner: 'big' },
  'owner of 100': { owner: 'small' },
  public: { visibility: 'public' },
  community: { visibility: 'community' },
  shared: { visibility: 'shared' },
  private: { visibility: 'private' },
  'size of 0.1 %': { numbers: [{ key: 'size', comparison: 'gte', value: 999_000 * 2 ** 20 }] },
}

await using left = new AsyncDisposableStack()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    process.on('uncaughtException', () => {}) // what is under way fails, as its database goes
    void left.disposeAsync().finally(() => process.exit(EXIT.interrupted))
  })
const place = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
const directory = await mkdtemp(join(place, 'ingot-bench-'))
left.defer(() => rm(directory, { recursive: true, force: true }))

let missed = 0
if (values.only !== 'postgres') await run('SQLite', { sqlite: join(directory, 'catalog.db') })
if (values.only !== 'sqlite') {
  const settings = { shared_buffers: '512MB', max_wal_size: '4GB' }
  const postgres = left.use(await startPostgres(settings, place))
  await run('PostgreSQL', { postgres: await postgres.createDatabase() })
}
process.exitCode = missed > 0 ? EXIT.differs : EXIT.done

async function run(name: string, address: DatabaseAddress): Promise<void> {
  await using database = await openDatabase(address, catalogMigrations, makeContext())
  const began = performance.now()
  await fillCatalog(address, count)
  console.log(`\n### A page of ${PAGE} out of ${count} images, ${name}\n`)
  console.log(
    `Made in ${((performance.now() - began) / 1000).toFixed(0)} s. In ms; \`*\`: the median is over ${BAR_MS}.\n`,
  )
  console.log('| viewer | filter | order | page | images | median | p95 | most | own processor |')
  console.log('| --- | --- | --- | --- | --: | --: | --: | --: | --: |')
  const catalog = openCatalog(database)
  for (const [who, viewer] of Object.entries(VIEWERS))
    for (const [what, filter] of Object.entries(FILTERS))
      for (const [order, sort] of Object.entries(SORTS)) {
        const query = { viewer, filter, sort, limit: PAGE }
        await time([who, what, order, 'first'], catalog, query)
        const after = what === 'none' ? await deepImage(catalog, viewer) : undefined
        if (after) await time([who, what, order, 'deep'], catalog, { ...query, after })
      }
  console.log()
  await timeRecords(database, catalog)
}

/** An image that was made halfway; its name, size and last change are any. */
async function deepImage(catalog: Catalog, viewer: Viewer): Promise<ImageQuery['after']> {
  const filter = {
    times: [{ key: 'created_at', comparison: 'lte', time: timeOf(0.5, count) }],
  } as const
  const [found] = await catalog.list({ viewer, filter, sort: [], limit: 1 })
  return found
}

async function time(row: string[], catalog: Catalog, query: ImageQuery): Promise<void> {
  const walls: number[] = []
  let length = 0
  const cpu = process.cpuUsage()
  for (let n = 0; n < times; n++) {
    const began = performance.now()
    length = (await catalog.list(query)).length
    walls.push(performance.now() - began)
  }
  const { user, system } = process.cpuUsage(cpu)
  const sorted = walls.toSorted((a, b) => a - b)
  const p95 = sorted[Math.ceil(0.95 * times) - 1] ?? NaN
  const isMissed = median(walls) > BAR_MS
  if (isMissed) missed++
  const figures = [median(walls), p95, Math.max(...walls), (user + system) / 1000 / times]
  const cells = figures.map((ms, n) => `${n === 0 && isMissed ? '*' : ''}${ms.toFixed(2)}`)
  console.log(`| ${[...row, length, ...cells].join(' | ')} |`)
}

async function timeRecords(database: Database, catalog: Catalog): Promise<void> {
  const query = { viewer: { project: null, all: true }, filter: {}, sort: [], limit: 100 }
  const images = await catalog.list(query)
  const [image] = images
  if (image === undefined) throw new Error('no image')
  await timeEach('get', GETS, async (n) => void (await catalog.get(images[n % 100]?.id ?? '')))
  await timeEach('create + delete, 16 at a time', PAIRS, async () => {
    const id = crypto.randomUUID()
    const made = { ...image, id, tags: [], properties: {} }
    await database.write((tx) => catalog.insert(tx, made))
    await database.write((tx) => catalog.remove(tx, id))
  })
}

async function timeEach(
  what: string,
  rounds: number,
  work: (n: number) => Promise<void>,
): Promise<void> {
  const began = performance.now()
  const cpu = process.cpuUsage()
  for (let n = 0; n < rounds; n += 16)
    await Promise.all(Array.from({ length: 16 }, (_, k) => work(n + k)))
  const { user, system } = process.cpuUsage(cpu)
  const wall = ((performance.now() - began) * 1000) / rounds
  console.log(
    `- ${what}: ${wall.toFixed(0)} µs, ${((user + system) / rounds).toFixed(0)} µs of its own processor time`,
  )
}
