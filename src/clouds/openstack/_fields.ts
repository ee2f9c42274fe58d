/** Fields of answers, which may hold anything: what is not as the API says is an error of the service. */
import { Failure } from '../../base/failure.ts'

export type Wire = Readonly<Record<string, unknown>>

export function asWire(value: unknown, what: string): Wire {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Wire
  throw new Failure('CLOUD_FAILED', `the cloud sent no ${what}`)
}

export function listOf(value: unknown, what: string): readonly Wire[] {
  if (!Array.isArray(value)) throw new Failure('CLOUD_FAILED', `the cloud sent no list of ${what}`)
  return value.map((one) => asWire(one, what))
}

/** A text that must be there. */
export function textOf(wire: Wire, name: string): string {
  const value = wire[name]
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  throw new Failure('CLOUD_FAILED', `the cloud sent something without '${name}'`)
}

export function textOr<Else>(wire: Wire, name: string, otherwise: Else): string | Else {
  const value = wire[name]
  return typeof value === 'string' ? value : otherwise
}

export function numberOr<Else>(wire: Wire, name: string, otherwise: Else): number | Else {
  const value = wire[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise
}

/** The texts of an object of texts. */
export function textsOf(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  )
}

/** By id, else by a name that only one has. Fails with CLOUD_NOT_FOUND, saying what there is. */
export function chooseNamed<Thing extends { readonly id: string; readonly name: string | null }>(
  things: readonly Thing[],
  idOrName: string,
  what: string,
): Thing {
  const byId = things.find(({ id }) => id === idOrName)
  const [found, second] = byId ? [byId] : things.filter(({ name }) => name === idOrName)
  if (found !== undefined && second === undefined) return found
  if (second !== undefined)
    throw new Failure('CLOUD_NOT_FOUND', `several ${what}s are called '${idOrName}'; use an id`)
  const names = things.slice(0, 20).map(({ id, name }) => name ?? id)
  const there = names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`
  throw new Failure('CLOUD_NOT_FOUND', `no ${what} '${idOrName}': ${there}`)
}
