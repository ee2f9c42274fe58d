/**
 * How a listing is answered.
 *
 * A page is the first records, in the order asked for, that the viewer may see and the filter lets through.
 * What is looked for is which they are, by id and revision; those that are not known yet are read then.
 *
 * Records are only looked at along trails (`_catalog-trail.ts`): indexes, walked from one end, by one window
 * of entries in each statement. No statement takes long, and others have their turn between two.
 *
 * 1. First the arms of the viewer (`_catalog-arms.ts`) are walked: what it may see, in the order asked for.
 *    Most pages are full after one window, or there is no more.
 * 2. If not, few records fit, or none near by. Each condition of the filter that has an index is a way
 *    (`_catalog-ways.ts`) to all that fulfil it. How long these are is counted, up to what is few.
 *    - The shortest is walked to its end, if it is a short one.
 *    - Else, if a way has its records in the order asked for (all but a few have, in that of creation, the
 *      default), arms and way are walked in turn: whichever fills the page first.
 *    - Else the arms are walked on alone.
 * 3. Whenever as many were looked at as were few, four times as many are few, and ways are counted again.
 *
 * So a page costs what the better of the two costs, the walk in order and the search, but for a small factor;
 * whatever is in the catalog, and without any statistics of it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import type { DatabaseKind } from '../database/database.ts'
import { type Arm, armsOf } from './_catalog-arms.ts'
import type { KnownImages } from './_catalog-known.ts'
import { Values, wholeSort } from './_catalog-sort.ts'
import type { ImageRow } from './_catalog-tables.ts'
import { countOf, type Entry, orderOf, type Trail } from './_catalog-trail.ts'
import { type Question, type Reader, Walk } from './_catalog-walk.ts'
import { type Way, waysOf } from './_catalog-ways.ts'
import type { ImageQuery } from './catalog.ts'
import type { Image } from './image.ts'

/** How many entries are looked at. */
export interface Pace {
  /** In the first window, beside those that fill the page. */
  readonly first: number
  /** In each window after it. */
  readonly next: number
  /** A way that has not more is a short one. */
  readonly few: number
  /** An arm that has not more need not be in the order asked for, which would be that of all images. */
  readonly fewest: number
}

export const PACES: Readonly<Record<DatabaseKind, Pace>> = {
  sqlite: { first: 500, next: 2000, few: 5000, fewest: 1000 },
  postgres: { first: 500, next: 2000, few: 5000, fewest: 1000 },
}
const MORE = 4
/** Pages that are looked for while others delete what is on them. */
const TRIES = 5

export async function listImages(
  db: Reader,
  kind: DatabaseKind,
  known: KnownImages,
  query: ImageQuery,
  pace: Pace,
): Promise<Image[]> {
  const question = { db, kind, query, sort: wholeSort(query.sort) }
  for (let tries = 1; ; tries++) {
    const page = query.limit === 0 ? [] : await findPage(question, pace)
    const images = await readImages(db, kind, known, page)
    // One that was deleted between the two leaves the page short, as if it were the last: look again.
    if (images.length === page.length || tries === TRIES) return images
  }
}

async function findPage(question: Question, pace: Pace): Promise<readonly Entry[]> {
  const { query } = question
  const arms = new Walk(question, await trailsOfArms(question, pace))
  if (await arms.goOn(query.limit + pace.first)) return arms.page
  const ways = waysOf(query, question.sort)
  const walks = new Map<Way, Walk>()
  for (let { few } = pace; ; few *= MORE) {
    const found = await bestOf(question, ways, few)
    const rivals = [arms]
    if (found !== undefined) {
      const walk = walks.get(found.way) ?? new Walk(question, found.way)
      walks.set(found.way, walk)
      if (found.isShort) rivals.splice(0, 1, walk)
      else rivals.push(walk)
    }
    const patience = found?.isShort === true ? Infinity : few
    for (let seen = 0; seen < patience; seen += pace.next)
      for (const walk of rivals) {
        await nextTurn()
        if (await walk.goOn(pace.next)) return walk.page
      }
  }
}

/** The trails of all arms; one that has few images need not have them in the order asked for. */
async function trailsOfArms(question: Question, pace: Pace): Promise<Trail[]> {
  const { query, sort } = question
  const key = sort[0]?.key ?? 'id'
  const arms = armsOf(query).map((arm) => ({ arm, trails: arm.trails(key) }))
  const short = new Set<Arm>()
  const doubtful = arms.filter(({ arm, trails }) => arm.unordered && !trails.some(isNarrow))
  const counts = await countWays(
    question,
    doubtful.map(({ arm }) => arm.unordered ?? []),
    pace.fewest,
  )
  for (const [n, { arm }] of doubtful.entries()) if ((counts[n] ?? 0) <= pace.fewest) short.add(arm)
  return arms.flatMap(({ arm, trails }) => (short.has(arm) ? (arm.unordered ?? []) : trails))
}

/** Whether a trail goes by entries of its own, not by those of all images. */
function isNarrow(trail: Trail): boolean {
  return trail.entries(new Values('sqlite')) !== ''
}

/** The best way: the shortest, if it is a short one, else one that has the order asked for. */
async function bestOf(
  question: Question,
  ways: readonly Way[],
  few: number,
): Promise<{ way: Way; isShort: boolean } | undefined> {
  const counts = await countWays(question, ways, few)
  const counted = ways
    .map((way, n) => ({ way, count: counts[n] ?? Infinity }))
    .toSorted((a, b) => a.count - b.count)
  const [shortest] = counted
  if (shortest !== undefined && shortest.count <= few) return { way: shortest.way, isShort: true }
  const ordered = ways.find((way) => way.every((trail) => orderOf(trail, question.sort) !== 'none'))
  return ordered && { way: ordered, isShort: false }
}

/** How many entries each way has; what is more than few is not counted to its end. */
async function countWays(
  { db, kind }: Question,
  ways: readonly Way[],
  few: number,
): Promise<number[]> {
  if (ways.length === 0) return []
  const values = new Values(kind)
  const counts = ways.map((way, n) => {
    const sum = way.map((trail) => countOf(trail, kind, few + 1, values)).join(' + ')
    return `${sum || '0'} as n${n}`
  })
  const { rows } = await db.executeQuery<Record<string, number>>(
    CompiledQuery.raw(`select ${counts.join(', ')}`, values.list),
  )
  return ways.map((_, n) => rows[0]?.[`n${n}`] ?? Infinity)
}

/** The records; who was deleted in this moment is left out. */
async function readImages(
  db: Reader,
  kind: DatabaseKind,
  known: KnownImages,
  found: readonly Entry[],
): Promise<Image[]> {
  const images = new Map<string, Image>()
  const missing: string[] = []
  for (const { id, revision } of found) {
    const image = known.get(id, revision ?? 0)
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
