/**
 * Checks a value against a TypeBox schema and says all that is wrong, each fault with its path, so
 * that the caller can point at the spot in the document the value came from.
 *
 * TypeBox's own checker answers yes or no; people need "line 12: `versoin` is not a key of
 * `package`; did you mean `version`?". The subset used by our schemas is covered: objects, records,
 * arrays, unions, literals, strings with patterns, numbers with bounds, booleans.
 */
import type { TSchema } from 'typebox'
import { closestWord } from './closest-word.ts'

export type Path = readonly (string | number)[]

export interface Fault {
  path: Path
  /** The fault is the key itself, the last part of `path`, not its value. */
  atKey?: boolean
  message: string
}

/** A schema as plain data: what TypeBox's types look like at run time. */
interface Shape {
  type?: string
  anyOf?: Shape[]
  const?: unknown
  enum?: unknown[]
  properties?: Record<string, Shape>
  patternProperties?: Record<string, Shape>
  required?: string[]
  additionalProperties?: boolean | Shape
  items?: Shape
  minItems?: number
  minProperties?: number
  maxProperties?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minimum?: number
  maximum?: number
  description?: string
  title?: string
}

/** Every fault of `value`; none means that it has the shape. */
export function findFaults(schema: TSchema, value: unknown): Fault[] {
  return faultsOf(schema, value, [])
}

function faultsOf(shape: Shape, value: unknown, path: Path): Fault[] {
  if (shape.anyOf) return faultsOfUnion(shape.anyOf, value, path)
  if (shape.const !== undefined || shape.enum) {
    const wanted = shape.enum ?? [shape.const]
    if (wanted.includes(value)) return []
    const hint = typeof value === 'string' ? didYouMean(value, wanted.map(String)) : ''
    return [
      {
        path,
        message: `wanted ${wanted.map((one) => JSON.stringify(one)).join(' or ')}, found ${describe(value)}${hint}`,
      },
    ]
  }
  switch (shape.type) {
    case 'object':
      return isMapping(value) ? faultsOfObject(shape, value, path) : [mismatch(shape, value, path)]
    case 'array':
      return Array.isArray(value)
        ? faultsOfArray(shape, value, path)
        : [mismatch(shape, value, path)]
    case 'string':
      return typeof value === 'string'
        ? faultsOfString(shape, value, path)
        : [mismatch(shape, value, path)]
    case 'integer':
    case 'number':
      return typeof value === 'number' && (shape.type === 'number' || Number.isInteger(value))
        ? faultsOfNumber(shape, value, path)
        : [mismatch(shape, value, path)]
    case 'boolean':
      return typeof value === 'boolean' ? [] : [mismatch(shape, value, path)]
    case 'null':
      return value === null ? [] : [mismatch(shape, value, path)]
    default:
      return [] // a schema without a type accepts anything
  }
}

/** The faults of the branch that the value was most likely meant for. */
function faultsOfUnion(branches: readonly Shape[], value: unknown, path: Path): Fault[] {
  const tried = branches.map((branch) => ({ branch, faults: faultsOf(branch, value, path) }))
  if (tried.some(({ faults }) => faults.length === 0)) return []
  const sameKind = tried.filter(({ branch }) => kindOfShape(branch) === kindOfValue(value))
  if (sameKind.every(({ branch }) => branch.const !== undefined)) {
    const wanted = [...new Set(branches.map(nameOf))].join(' or ')
    const hint =
      typeof value === 'string'
        ? didYouMean(
            value,
            branches.flatMap((one) => (typeof one.const === 'string' ? [one.const] : [])),
          )
        : ''
    return [{ path, message: `wanted ${wanted}, found ${describe(value)}${hint}` }]
  }
  return sameKind.reduce((best, next) => (next.faults.length < best.faults.length ? next : best))
    .faults
}

function faultsOfObject(shape: Shape, value: Record<string, unknown>, path: Path): Fault[] {
  const faults: Fault[] = []
  const known = Object.keys(shape.properties ?? {})
  const patterns = Object.entries(shape.patternProperties ?? {})
  for (const [key, member] of Object.entries(value)) {
    const own = Object.hasOwn(shape.properties ?? {}, key) ? shape.properties?.[key] : undefined
    const byPattern = patterns.find(([pattern]) => new RegExp(pattern, 'u').test(key))?.[1]
    const other =
      typeof shape.additionalProperties === 'object' ? shape.additionalProperties : undefined
    const memberShape = own ?? byPattern ?? other
    if (memberShape) faults.push(...faultsOf(memberShape, member, [...path, key]))
    else if (shape.additionalProperties === false)
      faults.push({
        path: [...path, key],
        atKey: true,
        message: `unknown key '${key}'${didYouMean(key, known) || (known.length > 0 ? `; wanted one of ${known.join(', ')}` : '')}`,
      })
  }
  for (const key of shape.required ?? [])
    if (!Object.hasOwn(value, key))
      faults.push({ path, message: `the key '${key}' is missing${about(shape.properties?.[key])}` })
  const count = Object.keys(value).length
  if (count < (shape.minProperties ?? 0))
    faults.push({ path, message: `wanted at least ${shape.minProperties} keys, found ${count}` })
  if (count > (shape.maxProperties ?? Infinity))
    faults.push({ path, message: `wanted at most ${shape.maxProperties} keys, found ${count}` })
  return faults
}

function faultsOfArray(shape: Shape, value: readonly unknown[], path: Path): Fault[] {
  const faults = value.flatMap((item, index) => faultsOf(shape.items ?? {}, item, [...path, index]))
  if (value.length < (shape.minItems ?? 0))
    faults.push({ path, message: `wanted at least ${shape.minItems} items, found ${value.length}` })
  return faults
}

function faultsOfString(shape: Shape, value: string, path: Path): Fault[] {
  if (value.length < (shape.minLength ?? 0))
    return [{ path, message: `wanted ${nameOf(shape)}, found an empty text` }]
  const most = shape.maxLength ?? Infinity
  const length = value.length > most ? countCharacters(value) : value.length
  if (length > most)
    return [{ path, message: `wanted at most ${most} characters, found ${length}` }]
  if (shape.pattern !== undefined && !new RegExp(shape.pattern, 'u').test(value))
    return [
      {
        path,
        message: `wanted ${shape.title ?? shape.description ?? `a text that matches ${shape.pattern}`}, found ${describe(value)}`,
      },
    ]
  return []
}

/** As people, JSON Schema and databases count them: an emoji is one. */
export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function faultsOfNumber(shape: Shape, value: number, path: Path): Fault[] {
  const { minimum = -Infinity, maximum = Infinity } = shape
  if (value >= minimum && value <= maximum) return []
  const range =
    maximum === Infinity
      ? `at least ${minimum}`
      : minimum === -Infinity
        ? `at most ${maximum}`
        : `${minimum} to ${maximum}`
  return [{ path, message: `wanted ${range}, found ${value}` }]
}

function mismatch(shape: Shape, value: unknown, path: Path): Fault {
  return { path, message: `wanted ${nameOf(shape)}, found ${describe(value)}` }
}

/** What a person would call a value of this shape. */
function nameOf(shape: Shape): string {
  if (shape.anyOf) return [...new Set(shape.anyOf.map(nameOf))].join(' or ')
  if (shape.title !== undefined) return shape.title
  if (shape.const !== undefined) return JSON.stringify(shape.const)
  const names: Readonly<Record<string, string>> = {
    object: 'a mapping',
    array: 'a list',
    string: 'a text',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    null: 'nothing',
  }
  return names[shape.type ?? ''] ?? 'a value'
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  const text = JSON.stringify(value)
  const shown = text.length > 60 ? `${text.slice(0, 57)}…` : text
  return typeof value === 'string' ? shown : `the ${typeof value} ${shown}`
}

function kindOfShape(shape: Shape): string {
  if (shape.const !== undefined) return kindOfValue(shape.const)
  return shape.type === 'integer' ? 'number' : (shape.type ?? 'any')
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function about(shape: Shape | undefined): string {
  return shape?.description === undefined ? '' : ` (${shape.description})`
}

/** `; did you mean 'x'?` when one of the known words is close, else nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = closestWord(word, known)
  return near === undefined ? '' : `; did you mean '${near}'?`
}
