import { readFileSync } from 'node:fs'
import {
  BUILTIN_PROPERTIES,
  MAX_NAME,
  type SiteProperties,
  type WireField,
} from '../api/image-schema.ts'
import type { ServiceConfig } from '../app/service-config.ts'
import { asFileFailure, Failure, messageOf } from '../base/failure.ts'

/**
 * The well-known properties of this site: those of its file, or our own. The file is JSON: a mapping of names to
 * schemas, or one with `properties` and `required`.
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export function readSiteProperties({ schema_file: file }: ServiceConfig['image']): SiteProperties {
  if (file === undefined) return BUILTIN_PROPERTIES
  const given = readMapping(file)
  const isNewForm = isMapping(given['properties']) && !('type' in given['properties'])
  const properties = isNewForm ? (given['properties'] as Record<string, unknown>) : given
  const required = isNewForm ? (given['required'] ?? []) : []
  const faults = Object.entries(properties).flatMap(([name, field]) => faultsOf(name, field))
  if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
    faults.push("'required' is a list of names")
  if (faults.length > 0) throw new Failure('CONFIG_INVALID', `${file}: ${faults.join('; ')}`)
  return { properties: properties as Record<string, WireField>, required: required as string[] }
}

function readMapping(file: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw asFileFailure(error, file)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (isMapping(value)) return value
  } catch (error) {
    throw new Failure('CONFIG_INVALID', `${file} is not JSON: ${messageOf(error)}`, {
      cause: error,
    })
  }
  throw new Failure('CONFIG_INVALID', `${file}: wanted a JSON object`)
}

/** Properties are texts: a schema may say which, and that there need not be one. */
function faultsOf(name: string, field: unknown): string[] {
  if (name.length > MAX_NAME) return [`a name has at most ${MAX_NAME} characters`]
  if (!isMapping(field)) return [`${name} is a schema`]
  const types = [field['type'] ?? 'string'].flat()
  const isText = types.every((type) => type === 'string' || type === 'null')
  return isText ? [] : [`${name} has to be of type string, as every property is`]
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
