import { addressesOf } from './_hide-parameters.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { Mask, textsOf } from './_mask.ts'
import type { Secrets } from './_secrets.ts'
import { secretParameters } from './_take-options.ts'
import type { CloudTarget, Provider } from '../cloud-target.ts'
import type { JsonObject } from '../factory-image.ts'

/** Hides what came with an order and nobody may see. */
export function maskOf(
  { list }: Pick<Ground, 'list'>,
  row: Pick<ImageRow, 'type' | 'builder' | 'target'>,
  secrets: Secrets,
): Mask {
  const mask = new Mask()
  const { callbacks, ...parameters } = secrets.parameters ?? {}
  for (const text of textsOf(parameters)) mask.add(text)
  for (const address of addressesOf(callbacks))
    if (URL.canParse(address)) mask.add(decodeURIComponent(new URL(address).password))
  const { definition: options = {}, credentials } = secrets
  const part = list.partOf(row)
  if (part === undefined) for (const text of textsOf([options, credentials])) mask.add(text)
  else if (credentials && 'provider' in part) maskProvider(mask, part, { options, credentials })
  return mask
}

/** Hides a provider's credentials: those that their schema calls secret; if it calls none so, all. */
export function maskProvider(
  mask: Mask,
  target: CloudTarget,
  { options, credentials }: Pick<Provider, 'options' | 'credentials'>,
): void {
  if (target.provider === undefined) return
  hide(mask, asObject(options), secretParameters([target.provider.options], asObject(options)))
  const given = asObject(credentials)
  const secret = secretParameters([target.provider.credentials], given)
  hide(mask, given, secret.length > 0 ? secret : Object.keys(given))
}

function hide(mask: Mask, values: JsonObject, names: readonly string[]): void {
  for (const name of names) for (const text of textsOf(values[name])) mask.add(text)
}

function asObject(value: unknown): JsonObject {
  // Options are what their schema took of JSON.
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {}
}
