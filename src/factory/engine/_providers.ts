/** The provider of an image: what came with the order, or stands in the configuration. */
import { Failure } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import { listKeys } from '../../schema/list-keys.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import type { Secrets } from './_secrets.ts'
import { checkOptions, takeOptions } from './_take-options.ts'
import type { CloudTarget, Provider } from '../cloud-target.ts'
import type { JsonObject } from '../factory-image.ts'
import { parseProvider } from '../parse-provider.ts'

export interface GivenProvider {
  readonly definition?: unknown
  readonly credentials?: unknown
}

/** What an order names: the name, and its definition if that came along. Upstream's `provider` may be either. */
export function namedProvider(
  target: CloudTarget,
  order: { readonly provider: string; readonly definition?: unknown },
): { name: string; definition: JsonObject | undefined } {
  const { provider, definition } = order
  if (definition !== undefined && definition !== null)
    return { name: provider, definition: parseProvider(definition, 'definition') }
  const text = provider.trim().replace(/^@/, '')
  if (!/^[{<]/.test(text)) return { name: text, definition: undefined }
  const parsed = parseProvider(text, 'definition')
  const { name } = parsed
  return { name: typeof name === 'string' && name !== '' ? name : target.name, definition: parsed }
}

/**
 * The provider as its target wants it. Fails with REQUEST_INVALID: nothing can be pushed, the configuration's provider is
 * of another target, something is missing.
 */
export function makeProvider(
  { settings, list }: Pick<Ground, 'settings' | 'list'>,
  target: CloudTarget,
  name: string,
  given: {
    readonly definition?: JsonObject | undefined
    readonly credentials?: JsonObject | undefined
  },
): Provider {
  const schemas = target.provider
  if (schemas === undefined)
    throw new Failure('REQUEST_INVALID', `images of target ${target.name} cannot be pushed`)
  const known = Object.hasOwn(settings.providers, name) ? settings.providers[name] : undefined
  const isOther = known !== undefined && list.target(known.target) !== target
  if (isOther && given.definition === undefined)
    throw new Failure('REQUEST_INVALID', `provider ${name} is of target ${known.target}`)
  // Credentials of the configuration go where the configuration says, and nowhere else.
  const trusted = isOther || given.definition !== undefined ? undefined : known
  const definition = asObject(given.definition ?? trusted?.options)
  const credentials = asObject(given.credentials ?? trusted?.credentials)
  const options = takeOptions(schemas.options, definition)
  checkOptions(schemas.options, options, `provider ${name}`)
  const secrets = takeOptions(schemas.credentials, credentials)
  checkOptions(schemas.credentials, secrets, `credentials of provider ${name}`)
  return { name, options, credentials: secrets, isConfigured: trusted !== undefined }
}

/**
 * Fails with REQUEST_INVALID for the name of a provider that the configuration does not know, if nothing came with it:
 * better now than when all has been built. Targets that ask for nothing, know all names.
 */
export function demandKnown(
  { settings, list }: Pick<Ground, 'settings' | 'list'>,
  target: CloudTarget,
  name: string,
  given: { readonly definition?: unknown; readonly credentials?: unknown },
): void {
  const { options, credentials } = target.provider ?? {}
  const asksNothing = ![options, credentials].some(
    (schema) => schema && listKeys(schema).length > 0,
  )
  const isGiven = given.definition !== undefined || given.credentials !== undefined
  if (asksNothing || isGiven || Object.hasOwn(settings.providers, name)) return
  const known = Object.entries(settings.providers)
    .filter(([, one]) => list.target(one.target) === target)
    .map(([one]) => one)
  throw new Failure(
    'REQUEST_INVALID',
    `the configuration has no provider '${name}' of target ${target.name}${didYouMean(name, known)}`,
    { fix: 'Name one of factory.providers, or say where it is by its definition and credentials.' },
  )
}

/** The provider of a record, with what is kept of its secrets, or was given just now. */
export function providerOf(
  ground: Pick<Ground, 'settings' | 'list'>,
  row: Pick<ImageRow, 'target' | 'provider' | 'definition'>,
  secrets: Secrets,
): Provider {
  const kept = row.definition === null ? undefined : (JSON.parse(row.definition) as JsonObject)
  return makeProvider(ground, ground.list.target(row.target ?? ''), row.provider ?? '', {
    definition: secrets.definition ?? kept,
    credentials: secrets.credentials,
  })
}

export function parseGiven({
  definition,
  credentials,
}: GivenProvider): Pick<Secrets, 'definition' | 'credentials'> {
  return {
    ...(isGiven(definition) && { definition: parseProvider(definition, 'definition') }),
    ...(isGiven(credentials) && { credentials: parseProvider(credentials, 'credentials') }),
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function asObject(value: Readonly<Record<string, unknown>> | undefined): JsonObject {
  // What was read from JSON, YAML or XML is made of what JSON has.
  return (value ?? {}) as JsonObject
}
