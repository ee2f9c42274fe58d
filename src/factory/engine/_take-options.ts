/** Parameters of an order as options of the part that does the work: chosen by its schema, and checked. */
import type { TSchema } from 'typebox'
import { Failure } from '../../base/failure.ts'
import { didYouMean, type Fault, findFaults } from '../../schema/find-faults.ts'
import { type CommonOptions, commonOptions } from '../common-options.ts'
import type { JsonObject } from '../factory-image.ts'

/** A schema of an object, as plain data. */
interface ObjectShape {
  readonly properties?: Readonly<Record<string, MemberShape>>
  readonly patternProperties?: object
  readonly additionalProperties?: unknown
}

interface MemberShape {
  readonly type?: string
  readonly anyOf?: readonly MemberShape[]
  readonly default?: unknown
  readonly secret?: boolean
}

/** Parameters are few: what is more than that is a mistake, or an attack. */
const MAX_PARAMETERS = 1024 * 1024

/** Those of `parameters` that a schema knows, with defaults for those that are missing; texts as what they stand for. */
export function takeOptions(schema: TSchema, parameters: JsonObject): Record<string, unknown> {
  const { properties = {} }: ObjectShape = schema
  const options: Record<string, unknown> = takesAll(schema) ? { ...parameters } : {}
  for (const [name, shape] of Object.entries(properties)) {
    const given = Object.hasOwn(parameters, name) ? parameters[name] : undefined
    if (given !== undefined && given !== null) options[name] = fromText(given, shape)
    else if (shape.default !== undefined) options[name] = structuredClone(shape.default)
    else delete options[name]
  }
  return options
}

/** Fails with REQUEST_INVALID, all faults at once. */
export function checkOptions(
  schema: TSchema,
  options: Readonly<Record<string, unknown>>,
  what: string,
): void {
  const faults = findFaults(schema, options)
  if (faults.length > 0) throw asFailure(faults, what)
}

export function asFailure(faults: readonly Fault[], what: string): Failure {
  const told = faults.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
  return new Failure('REQUEST_INVALID', `${what}: ${told.join('; ')}`, {
    details: { faults: told },
  })
}

/** What every part takes. Fails with REQUEST_INVALID. */
export function takeCommon(parameters: JsonObject): CommonOptions {
  if (JSON.stringify(parameters).length > MAX_PARAMETERS)
    throw new Failure('REQUEST_INVALID', `parameters: wanted at most ${MAX_PARAMETERS} characters`)
  const options = takeOptions(commonOptions, parameters)
  checkOptions(commonOptions, options, 'parameters')
  return options
}

/** Parameters that none of the schemas knows, each with a sentence about it. */
export function unknownParameters(schemas: readonly TSchema[], parameters: JsonObject): string[] {
  const shapes: ObjectShape[] = [commonOptions, ...schemas]
  if (schemas.some(takesAll)) return []
  const known = [...new Set(shapes.flatMap(({ properties = {} }) => Object.keys(properties)))]
  return Object.keys(parameters)
    .filter((name) => !known.includes(name))
    .map((name) => `unknown parameter '${name}'${didYouMean(name, known)}`)
}

/** Names of parameters that are secret by one of the schemas. */
export function secretParameters(schemas: readonly TSchema[], parameters: JsonObject): string[] {
  const shapes: ObjectShape[] = [...schemas]
  return Object.keys(parameters).filter((name) =>
    shapes.some(({ properties = {} }) => properties[name]?.secret === true),
  )
}

function takesAll(schema: TSchema): boolean {
  const { patternProperties, additionalProperties = false }: ObjectShape = schema
  return patternProperties !== undefined || additionalProperties !== false
}

/** Command lines and forms only know texts. */
function fromText(value: unknown, shape: MemberShape): unknown {
  if (typeof value !== 'string') return value
  const types = shape.anyOf ? shape.anyOf.map(({ type }) => type) : [shape.type]
  if (types.includes('string') || types.includes(undefined)) return value
  const text = value.trim()
  if (types.includes('boolean') && /^(true|yes|1)$/i.test(text)) return true
  if (types.includes('boolean') && /^(false|no|0)$/i.test(text)) return false
  if ((types.includes('number') || types.includes('integer')) && text !== '')
    return Number.isNaN(Number(text)) ? value : Number(text)
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return value // the check tells what was wanted
    }
  }
  return types.includes('array') ? text.split(/\s*,\s*/) : value
}
