/**
 * The gate in front of every store driver: it checks keys, ranges and the order of writes, does the plain way
 * what a driver leaves out, counts, and makes system errors the failures of the store.
 */
import { Failure } from '../base/failure.ts'
import { findFaults } from '../schema/find-faults.ts'
import { gateSource } from './_gated-source.ts'
import { GatedWriter } from './_gated-writer.ts'
import { type Guard, makeGuard, newCounters } from './_guard.ts'
import type { DriverStore, Store, StoreContext, StoreDriver } from './store.ts'

/** A store as the configuration has it. */
export interface StoreEntry {
  readonly id: string
  readonly type: string
  readonly description?: string
  readonly weight?: number
  readonly options?: Readonly<Record<string, unknown>>
}

/**
 * Opens one configured place. Who opened the store closes it.
 * Fails with CONFIG_INVALID, and as the driver does: STORE_AWAY, STORE_DENIED.
 */
export async function openStore(
  entry: StoreEntry,
  driver: StoreDriver,
  context: StoreContext,
): Promise<Store> {
  const faults = findOptionFaults(entry, driver)
  if (faults.length > 0)
    throw new Failure('CONFIG_INVALID', faults.join('; '), { details: { faults } })
  const counters = newCounters()
  const guard = makeGuard(entry.id, counters, context.signal)
  const place = await guard('opening it', () => driver.open(entry.options ?? {}, context))
  return {
    id: entry.id,
    description: entry.description ?? '',
    driver: driver.name,
    readOnly: place.readOnly ?? false,
    weight: entry.weight ?? 0,
    anyOrder: place.anyOrder,
    properties: place.properties ?? {},
    counters,
    create: async (key, size) => {
      checkWritable(entry.id, place)
      checkKey(entry.id, place, key)
      const writer = await guard(`creating ${key}`, () => place.create(key, size))
      const { anyOrder } = place
      return new GatedWriter(writer, { key, anyOrder, guard, counters, log: context.log })
    },
    open: async (key) => {
      checkKey(entry.id, place, key)
      const below = await guard(`opening ${key}`, () => place.open(key))
      counters.opened++
      return gateSource(below, { key, store: entry.id, guard, counters })
    },
    remove: async (key) => {
      checkWritable(entry.id, place)
      checkKey(entry.id, place, key)
      await guard(`removing ${key}`, () => place.remove(key))
      counters.removed++
    },
    locate: (key) => {
      checkKey(entry.id, place, key)
      return place.locate(key)
    },
    keyOf: (url) => findKey(place, url),
    ...(place.list && { list: () => listThrough(guard, () => place.list!()) }),
    free: async () => await guard('asking for its room', async () => await place.free?.()),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  }
}

/** What is wrong with the options of a store, in words. */
export function findOptionFaults(entry: StoreEntry, driver: StoreDriver): string[] {
  return findFaults(driver.options, entry.options ?? {}).map(
    ({ path, message }) => `store ${entry.id}: ${['options', ...path].join('.')}: ${message}`,
  )
}

const KEY = /^(?!.*\.\.)[A-Za-z0-9._-]{1,200}$/
/** Of a place that only gives: an address, perhaps. */
const FOREIGN_KEY = /^[\x21-\x7e]{1,4096}$/

function isKey(place: DriverStore, key: string): boolean {
  return (place.readOnly ? FOREIGN_KEY : KEY).test(key) && key !== '.'
}

function checkKey(store: string, place: DriverStore, key: string): void {
  if (isKey(place, key)) return
  const shown = key.length > 80 ? `${key.slice(0, 80)}…` : key
  throw new Failure('REQUEST_INVALID', `store ${store}: '${shown}' cannot be a key`, {
    details: { store },
  })
}

function checkWritable(store: string, place: DriverStore): void {
  if (!place.readOnly) return
  throw new Failure('STORE_READ_ONLY', `store ${store} only gives data`, { details: { store } })
}

function findKey(place: DriverStore, url: string): string | undefined {
  if (place.keyOf) {
    const key = place.keyOf(url)
    return key !== undefined && isKey(place, key) ? key : undefined
  }
  const key = url.slice(url.lastIndexOf('/') + 1)
  return isKey(place, key) && place.locate(key) === url ? key : undefined
}

async function* listThrough<T>(guard: Guard, list: () => AsyncIterable<T>): AsyncGenerator<T> {
  const entries = list()[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await guard('listing it', () => entries.next())
      if (done) return
      yield value
    }
  } finally {
    await entries.return?.()
  }
}
