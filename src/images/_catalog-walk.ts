/** A walk along trails, all at the same pace, until the page is full or they end. */
import { CompiledQuery, type Kysely } from 'kysely'
import type { DatabaseKind } from '../database/database.ts'
import { compare, Values } from './_catalog-sort.ts'
import type { CatalogTables } from './_catalog-tables.ts'
import {
  directionOf,
  type Entry,
  firstRuns,
  orderOf,
  type Run,
  runsBehind,
  textOfWindow,
  type Trail,
} from './_catalog-trail.ts'
import type { ImageQuery, Sort } from './catalog.ts'

export type Reader = Pick<Kysely<CatalogTables>, 'executeQuery'>

/** What is asked for, and where. */
export interface Question {
  readonly db: Reader
  readonly kind: DatabaseKind
  readonly query: ImageQuery
  readonly sort: readonly Sort[]
}

export class Walk {
  readonly #question: Question
  /** What is left of each trail. */
  #ahead: { readonly trail: Trail; readonly runs: readonly Run[] }[]
  /** The best so far: never more than the page takes, in its order. */
  #page: Entry[] = []

  constructor(question: Question, trails: readonly Trail[]) {
    const { query, sort } = question
    this.#question = question
    this.#ahead = trails.map((trail) => ({ trail, runs: firstRuns(trail, query, sort) }))
  }

  /** Those on the page, once the walk is at its end. */
  get page(): readonly Entry[] {
    return this.#page
  }

  /** Goes on by a window of so many entries in each trail; whether that was the end. */
  async goOn(length: number): Promise<boolean> {
    const rows = await this.#look(length)
    const edges = new Map(
      rows.filter(({ revision }) => revision === null).map((row) => [row.trail, row]),
    )
    this.#keep(rows.filter(({ revision }) => revision !== null))
    this.#ahead = this.#ahead.flatMap(({ trail, runs }, mark) => {
      const edge = edges.get(mark)
      const left = edge === undefined ? runs.slice(1) : this.#runsBehind(trail, edge)
      return left.length === 0 || this.#isPassed(trail, edge) ? [] : [{ trail, runs: left }]
    })
    return this.#ahead.length === 0
  }

  async #look(length: number): Promise<Entry[]> {
    const { db, kind, query, sort } = this.#question
    const values = new Values(kind)
    const texts = this.#ahead.flatMap(({ trail, runs: [run] }, mark) =>
      run === undefined
        ? []
        : [textOfWindow(trail, { kind, query, sort, run, length, mark }, values)],
    )
    if (texts.length === 0) return []
    const { rows } = await db.executeQuery<Entry>(
      CompiledQuery.raw(texts.join(' union all '), values.list),
    )
    return rows
  }

  #runsBehind(trail: Trail, edge: Entry): Run[] {
    const { sort } = this.#question
    const place = { id: edge.id, value: edge[trail.key] ?? null }
    return runsBehind(trail, place, directionOf(trail, sort))
  }

  /** The best of those on the page and of more, each once. */
  #keep(more: readonly Entry[]): void {
    const { sort, query } = this.#question
    const all = [...this.#page, ...more].toSorted((a, b) => compare(a, b, sort))
    // who is in two trails comes one after the other
    this.#page = all.filter(({ id }, n) => id !== all[n - 1]?.id).slice(0, query.limit)
  }

  /** Whether nothing behind an edge can come onto the page. */
  #isPassed(trail: Trail, edge: Entry | undefined): boolean {
    const { sort, query } = this.#question
    const last = this.#page[query.limit - 1]
    const order = orderOf(trail, sort)
    if (last === undefined || order === 'none') return false
    if (edge === undefined) return this.#ahead.length === 1
    if (order === 'whole') return compare(last, edge, sort) <= 0
    return compare(last, edge, sort.slice(0, 1)) < 0 // others with the same value may come yet
  }
}
