/**
 * What people have configured for their OpenStack clients, read as openstacksdk reads it: `clouds.yaml`,
 * `secure.yaml`, and `OS_…` variables. Pure: who calls hands in the texts, and reads the file of authorities.
 */
import { parse } from 'yaml'
import { Failure, messageOf } from '../base/failure.ts'
import { type AuthFields, authTypeOf, credentialsOf, scopeOf } from './_os-auth.ts'
import type { CloudCredentials, CloudInterface, Scope } from './cloud.ts'

/** Texts of the files, and the variables; each may be missing. */
export interface OsSources {
  readonly cloudsYaml?: string | undefined
  /** Secrets kept apart: the same shape, laid over the other. */
  readonly secureYaml?: string | undefined
  readonly variables?: Readonly<Record<string, string | undefined>>
  /** The cloud that was named, by `--os-cloud`. Else `OS_CLOUD`, else the variables; else the only one. */
  readonly cloud?: string | undefined
}

/** How to reach a cloud. */
export type OsCloud = OsPlace &
  (
    | {
        readonly auth: 'keystone'
        readonly authUrl: string
        readonly credentials: CloudCredentials
        readonly scope: Scope | undefined
      }
    /** No Keystone: the service itself answers anyone here. */
    | { readonly auth: 'none'; readonly endpoint: string }
    /** A token that is sent as it is to the service here. */
    | { readonly auth: 'admin_token'; readonly endpoint: string; readonly token: string }
  )

export interface OsPlace {
  /** Of the file; undefined: it is all in variables. */
  readonly name: string | undefined
  readonly region: string | undefined
  readonly interface: CloudInterface
  /** Endpoints that are used instead of the catalogue's, by type of service: `image`. */
  readonly endpoints: Readonly<Record<string, string>>
  /** Path of a PEM file of authorities. */
  readonly cacert: string | undefined
  readonly insecure: boolean
}

interface RawCloud {
  readonly auth?: Readonly<Record<string, unknown>>
  readonly [key: string]: unknown
}

/** Fails with CONFIG_INVALID: no such cloud, something missing, not YAML. No secrets are in its words. */
export function parseOsConfig(sources: OsSources): OsCloud {
  const { variables = {} } = sources
  const name = sources.cloud ?? (variables['OS_CLOUD'] || undefined)
  const clouds = merge(
    cloudsOf(sources.cloudsYaml, 'clouds.yaml'),
    cloudsOf(sources.secureYaml, 'secure.yaml'),
  ) as Readonly<Record<string, RawCloud>>
  const fromVariables = cloudOfVariables(variables)
  if (name !== undefined && name !== 'envvars') {
    const cloud = Object.hasOwn(clouds, name) ? clouds[name] : undefined
    if (cloud === undefined) throw noCloud(name, Object.keys(clouds))
    return toCloud(name, cloud)
  }
  if (fromVariables !== undefined) return toCloud(undefined, fromVariables)
  const [only, ...more] = Object.entries(clouds)
  if (name === undefined && only !== undefined && more.length === 0) return toCloud(...only)
  throw noCloud(name, Object.keys(clouds))
}

function cloudsOf(text: string | undefined, file: string): object {
  if (text === undefined) return {}
  const read = parseYaml(text, file)
  const { clouds } = isRecord(read) ? read : {}
  if (clouds === undefined || clouds === null) return {}
  if (isRecord(clouds) && Object.values(clouds).every(isRecord)) return clouds
  throw new Failure('CONFIG_INVALID', `${file}: wanted clouds by their names below 'clouds'`)
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100, logLevel: 'error' }) as unknown
  } catch (error) {
    // The first line says what and where; the others quote the file, which may hold secrets.
    const [line = ''] = messageOf(error).split('\n')
    throw new Failure('CONFIG_INVALID', `${file} is not YAML: ${line.replace(/:$/, '')}`)
  }
}

/** What `over` says, and what only `under` says, all the way down. */
function merge(under: object, over: object): Record<string, unknown> {
  const both: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over) as [string, unknown][]) {
    const below = Object.hasOwn(both, key) ? both[key] : undefined
    both[key] = isRecord(below) && isRecord(value) ? merge(below, value) : value
  }
  return both
}

/** `image_endpoint_override`. */
const OVERRIDE = /^(.+)_endpoint_override$/

/** What stands beside `auth` in the file; every other variable belongs to it. */
const BESIDE_AUTH = new Set([
  'auth_type',
  'region_name',
  'interface',
  'endpoint_type',
  'cacert',
  'insecure',
  'verify',
  'identity_api_version',
])

function isBeside(name: string): boolean {
  return BESIDE_AUTH.has(name) || OVERRIDE.test(name)
}

/** A cloud of variables, if they say how to reach one. */
function cloudOfVariables(variables: NonNullable<OsSources['variables']>): RawCloud | undefined {
  const given = Object.entries(variables).filter(
    ([name, value]) => name.startsWith('OS_') && name !== 'OS_CLOUD' && value,
  )
  const named = given.map(([name, value]) => [name.slice(3).toLowerCase(), value] as const)
  const auth = Object.fromEntries(named.filter(([name]) => !isBeside(name)))
  const says = ['auth_url', 'endpoint', 'username', 'token', 'application_credential_id']
  if (!says.some((name) => name in auth)) return undefined
  return { ...Object.fromEntries(named.filter(([name]) => isBeside(name))), auth }
}

function toCloud(name: string | undefined, cloud: RawCloud): OsCloud {
  const fields = fieldsOf(cloud, name === undefined ? 'the OS_ variables' : `cloud ${name}`)
  const { get, need } = fields
  const place: OsPlace = {
    name,
    region: get('region_name'),
    interface: interfaceOf(get('interface', 'endpoint_type')),
    endpoints: endpointsOf(cloud),
    cacert: get('cacert'),
    insecure: isTrue(cloud['insecure']) || isFalse(cloud['verify']),
  }
  const type = authTypeOf(fields)
  if (type === 'none') return { ...place, auth: type, endpoint: withoutSlash(need('endpoint')) }
  if (type === 'admin_token') {
    const endpoint = withoutSlash(need('endpoint'))
    return { ...place, auth: type, endpoint, token: need('token') }
  }
  const credentials = credentialsOf(type, fields)
  const scope = type === 'application_credential' ? undefined : scopeOf(fields)
  return { ...place, auth: 'keystone', authUrl: need('auth_url'), credentials, scope }
}

/** Source: openstacksdk's loader, which takes what belongs to `auth` from beside it too. */
function fieldsOf(cloud: RawCloud, who: string): AuthFields {
  const get = (...names: string[]) => {
    for (const one of names) {
      const value = cloud.auth?.[one] ?? cloud[one]
      if (typeof value === 'string' && value !== '') return value
      if (typeof value === 'number') return String(value)
    }
    return undefined
  }
  const fail = (reason: string) => new Failure('CONFIG_INVALID', `${who}: ${reason}`)
  const need = (name: string) => {
    const value = get(name)
    if (value === undefined) throw fail(`${name} is missing`)
    return value
  }
  return { get, need, fail }
}

function interfaceOf(word = 'public'): CloudInterface {
  const side = word.replace(/URL$/, '')
  return side === 'internal' || side === 'admin' ? side : 'public'
}

function endpointsOf(cloud: RawCloud): Record<string, string> {
  const found = Object.entries(cloud).flatMap(([key, value]) => {
    const [, type] = OVERRIDE.exec(key) ?? []
    if (type === undefined || typeof value !== 'string') return []
    return [[type.replaceAll('_', '-'), withoutSlash(value)] as const]
  })
  return Object.fromEntries(found)
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '')
}

function isTrue(value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^(1|true|yes|on)$/i.test(value))
}

function isFalse(value: unknown): boolean {
  return value === false || (typeof value === 'string' && /^(0|false|no|off)$/i.test(value))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function noCloud(name: string | undefined, names: readonly string[]): Failure {
  const there = names.length === 0 ? 'none is configured' : `there are ${names.join(', ')}`
  const message = name === undefined ? 'no cloud is named' : `no cloud '${name}'`
  return new Failure('CONFIG_INVALID', `${message}: ${there}`, {
    fix: 'Name one of clouds.yaml with --os-cloud or OS_CLOUD, or set OS_AUTH_URL and so on.',
  })
}
