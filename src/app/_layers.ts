import type { TSchema } from 'typebox'
import { Failure } from '../base/failure.ts'
import { didYouMean, type Path } from '../schema/find-faults.ts'

export type Mapping = Readonly<Record<string, unknown>>

/** A setting with a value of its own: no section of others. */
export interface Setting {
  readonly path: readonly string[]
  /** Of its value, as JSON Schema says it; of its items, if it is a list. */
  readonly type: string | undefined
  readonly items: string | undefined
  readonly description: string
  /** Never shown. */
  readonly secret: boolean
}

interface Shape {
  readonly type?: string
  readonly description?: string
  readonly secret?: boolean
  readonly properties?: Readonly<Record<string, Shape>>
  readonly items?: Shape
}

/** The settings of a schema, sections taken apart. */
export function settingsOf(schema: TSchema): Setting[] {
  return settingsBelow(schema, [])
}

function settingsBelow(shape: Shape, path: readonly string[]): Setting[] {
  return Object.entries(shape.properties ?? {}).flatMap(([key, member]) => {
    if (member.properties !== undefined) return settingsBelow(member, [...path, key])
    const { type, description = '', secret = false } = member
    return [{ path: [...path, key], type, items: member.items?.type, description, secret }]
  })
}

/** Settings from several places, one laid over the other, and where each came from. */
export class Layers {
  readonly values: Record<string, unknown>
  readonly sources = new Map<string, string>()
  readonly #schema: Shape

  constructor(schema: TSchema, defaults: Mapping) {
    this.#schema = schema
    this.values = structuredClone(defaults)
    for (const { path } of settingsOf(schema)) this.sources.set(path.join('.'), 'default')
  }

  /**
   * Lays values over those that are there: sections key by key, all else as a whole; what is undefined
   * is left as it is. Fails with CONFIG_INVALID at an unknown key.
   */
  add(given: Mapping, sourceOf: (path: string) => string): void {
    this.#lay(given, this.values, this.#schema, [], sourceOf)
  }

  set(path: readonly string[], value: unknown, source: string): void {
    let section = this.values
    for (const key of path.slice(0, -1)) section = section[key] = asMapping(section[key])
    section[path.at(-1) ?? ''] = value
    this.sources.set(path.join('.'), source)
  }

  /** Where the value at a path, or that around it, came from. */
  sourceOf(path: Path): string {
    for (let end = path.length; end > 0; end--) {
      const source = this.sources.get(path.slice(0, end).join('.'))
      if (source !== undefined) return source
    }
    return 'configuration'
  }

  #lay(
    given: Mapping,
    over: Record<string, unknown>,
    shape: Shape,
    path: readonly string[],
    sourceOf: (path: string) => string,
  ): void {
    const known = Object.keys(shape.properties ?? {})
    for (const [key, value] of Object.entries(given)) {
      const here = [...path, key]
      const name = here.join('.')
      const member = known.includes(key) ? shape.properties?.[key] : undefined
      if (member === undefined)
        throw new Failure(
          'CONFIG_INVALID',
          `${sourceOf(name)}: unknown setting '${name}'${didYouMean(key, known) || `; wanted one of ${known.join(', ')}`}`,
        )
      if (value === undefined) continue
      if (member.properties !== undefined && isMapping(value)) {
        const section = asMapping(over[key])
        over[key] = section
        this.#lay(value, section, member, here, sourceOf)
      } else {
        over[key] = value
        this.sources.set(name, sourceOf(name))
      }
    }
  }
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asMapping(value: unknown): Record<string, unknown> {
  return isMapping(value) ? value : {}
}
