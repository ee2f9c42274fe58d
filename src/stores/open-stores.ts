import { Failure } from '../base/failure.ts'
import { closestWord } from '../schema/closest-word.ts'
import { findOptionFaults, openStore, type StoreEntry } from './open-store.ts'
import type { Store, StoreContext, StoreDriver, Stores } from './store.ts'

/** The section `stores` of the configuration. */
export interface StoresConfig {
  readonly default: string
  readonly list: readonly StoreEntry[]
}

/**
 * Opens all configured stores; closing the answer closes them. All faults of the configuration are told at once.
 * Fails with CONFIG_INVALID, STORE_AWAY, STORE_DENIED.
 */
export async function openStores(
  config: StoresConfig,
  drivers: readonly StoreDriver[],
  context: StoreContext,
): Promise<Stores> {
  const byName = new Map(drivers.map((driver) => [driver.name, driver]))
  refuse(findConfigFaults(config, byName))
  await using opened = new AsyncDisposableStack()
  const stores: Store[] = []
  for (const entry of config.list)
    stores.push(opened.use(await openStore(entry, byName.get(entry.type)!, context)))
  refuse(findPlaceFaults(stores, config.default))

  const byId = new Map(stores.map((store) => [store.id, store]))
  const get = (id: string) => {
    const store = byId.get(id)
    if (store) return store
    const details = { store: id, stores: [...byId.keys()] }
    throw new Failure('STORE_UNKNOWN', `no store '${id}'`, { details })
  }
  const closing = opened.move()
  return {
    all: stores.toSorted((a, b) => b.weight - a.weight),
    default: get(config.default),
    get,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function refuse(faults: readonly string[]): void {
  if (faults.length === 0) return
  throw new Failure('CONFIG_INVALID', faults.join('; '), { details: { faults } })
}

/** What can be said before anything is opened. */
function findConfigFaults(
  config: StoresConfig,
  drivers: ReadonlyMap<string, StoreDriver>,
): string[] {
  const ids = config.list.map(({ id }) => id)
  const faults = ids
    .filter((id, index) => ids.indexOf(id) !== index)
    .map((id) => `two stores are called ${id}`)
  if (!ids.includes(config.default)) faults.push(`there is no store ${config.default}, the default`)
  for (const entry of config.list) {
    const driver = drivers.get(entry.type)
    if (driver) faults.push(...findOptionFaults(entry, driver))
    else faults.push(`store ${entry.id}: no driver '${entry.type}'${hint(entry.type, drivers)}`)
  }
  return faults
}

function hint(type: string, drivers: ReadonlyMap<string, StoreDriver>): string {
  const closest = closestWord(type, [...drivers.keys()])
  if (closest !== undefined) return `; did you mean '${closest}'?`
  return `; wanted one of ${[...drivers.keys()].join(', ')}`
}

/** Two names for one place would each take the other's objects for nobody's. */
function findPlaceFaults(stores: readonly Store[], byDefault: string): string[] {
  const faults = stores
    .filter((store) => store.id === byDefault && store.readOnly)
    .map((store) => `the default store ${store.id} is read-only`)
  const owners = new Map<string, string>()
  for (const store of stores.filter(({ readOnly }) => !readOnly)) {
    const place = store.locate('object')
    const other = owners.get(place)
    if (other !== undefined) faults.push(`stores ${other} and ${store.id} are the same place`)
    owners.set(place, store.id)
  }
  return faults
}
