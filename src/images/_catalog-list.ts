/**
 * A page of a listing, by the work of a page. What is asked for first is only which records are on it (id and
 * revision), in one statement; then those that are not known yet are read.
 *
 * There are two ways to a page. If some condition, or arm, holds for few images only, those are found by its
 * index and sorted. Else the records are walked in the order asked for, by an index that has them so, until
 * the page is full: as no condition is a rare one, that is soon.
 */
import { CompiledQuery, type Kysely } from 'kysely'
import type { DatabaseKind } from '../database/database.ts'
import { type Arm, armsOf, globalIndex } from './_catalog-arms.ts'
import { conditionsOf, type Find, hint, waysToFind } from './_catalog-filter.ts'
import type { KnownImages } from './_catalog-known.ts'
import { orderBy, runsBehind, Values, wholeSort } from './_catalog-sort.ts'
import type { CatalogTables, ImageRow } from './_catalog-tables.ts'
import type { ImageQuery, Sort, SortKey } from './catalog.ts'
import type { Image } from './image.ts'

/** So many images at most are found and sorted; a page out of more is found in walking. */
export const FEW: Readonly<Record<DatabaseKind, number>> = { sqlite: 10_000, postgres: 4000 }

type Reader = Pick<Kysely<CatalogTables>, 'executeQuery'>

interface Found {
  id: string
  revision: number
}

export async function listImages(
  db: Reader,
  kind: DatabaseKind,
  known: KnownImages,
  query: ImageQuery,
  few: number = FEW[kind],
): Promise<Image[]> {
  const page = await preparePage(db, kind, query, few)
  if (page.arms.length === 0) return []
  const values = new Values(kind)
  const text =
    page.few === undefined ? textByArms(page, values) : textByFew(page, page.few, page.arms, values)
  const { rows } = await db.executeQuery<Found>(CompiledQuery.raw(text, values.list))
  return await readImages(db, kind, known, firstOf(rows, query.limit))
}

/** What is known of a page before it is asked for. */
interface Page {
  readonly kind: DatabaseKind
  readonly query: ImageQuery
  readonly sort: readonly Sort[]
  readonly key: SortKey
  readonly arms: readonly Arm[]
  /** How many are few. */
  readonly limit: number
  /** Finds, by a condition of the filter that holds for few, all that match. */
  readonly few: Find | undefined
  /** Arms that hold few. */
  readonly fewArms: ReadonlySet<Arm>
}

/** Looks which conditions and arms hold for few; for what is walked in any case it does not look. */
async function preparePage(
  db: Reader,
  kind: DatabaseKind,
  query: ImageQuery,
  limit: number,
): Promise<Page> {
  const sort = wholeSort(query.sort)
  const key = sort[0]?.key ?? 'id'
  const arms = armsOf(query.viewer, query.filter, kind)
  const unordered = arms.filter(
    (arm) => arm.indexFor(key) === undefined && !(arm.members && isByCreation(sort)),
  )
  const finds = [
    ...waysToFind(query.filter, kind).map((find) => ({ find, arm: undefined })),
    ...unordered.flatMap((arm) => (arm.find === undefined ? [] : [{ find: arm.find, arm }])),
  ]
  const counts = await countFew(
    db,
    kind,
    finds.map(({ find }) => find),
    limit,
  )
  const few = finds
    .map((one, n) => ({ ...one, count: counts[n] ?? Infinity }))
    .filter(({ count }) => count <= limit)
    .toSorted((a, b) => a.count - b.count)
  return {
    kind,
    query,
    sort,
    key,
    arms,
    limit,
    few: few.find(({ arm }) => arm === undefined)?.find,
    fewArms: new Set(few.flatMap(({ arm }) => arm ?? [])),
  }
}

/** How many each of them finds; what is more than few is not counted to its end. */
async function countFew(
  db: Reader,
  kind: DatabaseKind,
  finds: readonly Find[],
  limit: number,
): Promise<number[]> {
  if (finds.length === 0) return []
  const values = new Values(kind)
  const counts = finds.map(
    (find, n) => `(select count(*) from (${find(values)} limit ${limit + 1}) as f${n}) as n${n}`,
  )
  const { rows } = await db.executeQuery<Record<string, number>>(
    CompiledQuery.raw(`select ${counts.join(', ')}`, values.list),
  )
  return finds.map((_, n) => rows[0]?.[`n${n}`] ?? Infinity)
}

/** The page out of few, of any of the arms. */
function textByFew(page: Page, find: Find, arms: readonly Arm[], values: Values): string {
  const { kind, query, sort } = page
  const inArms = arms.map((arm) => `(${arm.condition(values)})`)
  const runs = runsBehind(sort, query.after, values, onRecord)
  const conditions = [
    'i.id = f.id',
    `(${inArms.join(' or ')})`,
    ...conditionsOf(query.filter, kind, values),
    ...(query.after === undefined ? [] : [`(${runs.map((run) => `(${run})`).join(' or ')})`]),
  ]
  // a cross join, since SQLite keeps its order
  return (
    `select ${columns(sort)} from (${find(values)} limit ${page.limit}) as f cross join images i ` +
    `where ${conditions.join(' and ')} ${orderBy(sort, kind, onRecord)} limit ${query.limit}`
  )
}

/** The page out of the pages of all arms. */
function textByArms(page: Page, values: Values): string {
  const { kind, sort, arms, query } = page
  const parts = arms.flatMap((arm) => textsOfArm(page, arm, values))
  if (parts.length === 1) return parts[0] ?? ''
  const united = parts.map((part, n) => `select * from (${part}) as p${n}`).join(' union all ')
  const limit = arms.length > 1 ? 2 * query.limit : query.limit // an image may come twice
  return `${united} ${orderBy(sort, kind)} limit ${limit}`
}

function textsOfArm(page: Page, arm: Arm, values: Values): string[] {
  if (page.fewArms.has(arm) && arm.find) return [textByFew(page, arm.find, [arm], values)]
  if (arm.members && isByCreation(page.sort)) return textsByMembers(page, arm.members, values)
  const { kind, query, sort, key } = page
  const from = `from images i${hint(kind, arm.indexFor(key) ?? globalIndex(key))}`
  return runsBehind(sort, query.after, values, onRecord).map((run) => {
    const conditions = [arm.condition(values), ...conditionsOf(query.filter, kind, values), run]
    return (
      `select ${columns(sort)} ${from} where ${conditions.filter(Boolean).join(' and ')} ` +
      `${orderBy(sort, kind, onRecord)} limit ${query.limit}`
    )
  })
}

/** Walks the images that are shared with a project in the order of their creation. */
function textsByMembers(
  { kind, query, sort }: Page,
  members: NonNullable<Arm['members']>,
  values: Values,
): string[] {
  const from = `from image_members m${hint(kind, 'image_members_member')} cross join images i`
  return members.statuses.flatMap((status) =>
    runsBehind(sort, query.after, values, onMember).map((run) => {
      const conditions = [
        members.condition(values),
        `m.status = '${status}'`,
        run,
        'i.id = m.image_id',
        `i.visibility = 'shared'`,
        ...conditionsOf(query.filter, kind, values),
      ]
      return (
        `select ${columns(sort)} ${from} where ${conditions.filter(Boolean).join(' and ')} ` +
        `${orderBy(sort, kind, onMember)} limit ${query.limit}`
      )
    }),
  )
}

function isByCreation(sort: readonly Sort[]): boolean {
  return sort.length === 2 && sort[0]?.key === 'created_at'
}

/** The two keys that rows of members have, too. */
function onMember(key: SortKey): string {
  return key === 'id' ? 'm.image_id' : 'm.image_created_at'
}

function onRecord(key: SortKey): string {
  return `i.${key}`
}

function columns(sort: readonly Sort[]): string {
  const keys = sort.flatMap(({ key }) => (key === 'id' ? [] : [onRecord(key)]))
  return ['i.id', 'i.revision', ...keys].join(', ')
}

/** The first `limit`, each once. */
function firstOf(rows: readonly Found[], limit: number): Found[] {
  const first: Found[] = []
  for (const row of rows) {
    if (first.length === limit) break
    if (first.at(-1)?.id !== row.id) first.push(row) // who comes twice comes one after the other
  }
  return first
}

/** Their records; who was deleted in this moment is left out. */
async function readImages(
  db: Reader,
  kind: DatabaseKind,
  known: KnownImages,
  found: readonly Found[],
): Promise<Image[]> {
  const images = new Map<string, Image>()
  const missing: string[] = []
  for (const { id, revision } of found) {
    const image = known.get(id, revision)
    if (image === undefined) missing.push(id)
    else images.set(id, image)
  }
  if (missing.length > 0) {
    const { text, value } =
      kind === 'sqlite'
        ? { text: 'in (select value from json_each(?))', value: JSON.stringify(missing) }
        : { text: '= any($1)', value: missing }
    const { rows } = await db.executeQuery<ImageRow>(
      CompiledQuery.raw(`select * from images where id ${text}`, [value]),
    )
    for (const row of rows) images.set(row.id, known.imageOf(row))
  }
  return found.flatMap(({ id }) => images.get(id) ?? [])
}
