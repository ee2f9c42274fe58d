/** Who one is, in the words of `auth` in clouds.yaml. Source: keystoneauth's plugins and their options. */
import type { Failure } from '../base/failure.ts'
import type { CloudCredentials, InDomain, Named, Scope } from './cloud.ts'

export interface AuthFields {
  /** The first of these that is there. */
  get(...names: string[]): string | undefined
  /** Fails with CONFIG_INVALID when it is missing. */
  need(name: string): string
  fail(reason: string): Failure
}

const TYPES = {
  password: 'password',
  v3password: 'password',
  token: 'token',
  v3token: 'token',
  v3applicationcredential: 'application_credential',
  none: 'none',
  noauth: 'none',
  admin_token: 'admin_token',
  token_endpoint: 'admin_token',
} as const

export type AuthType = (typeof TYPES)[keyof typeof TYPES]

/** What `auth_type` says; else what there is. */
export function authTypeOf({ get, fail }: AuthFields): AuthType {
  const word = get('auth_type')
  if (word !== undefined) {
    if (Object.hasOwn(TYPES, word)) return TYPES[word as keyof typeof TYPES]
    throw fail(`auth_type ${word} is none of ${Object.keys(TYPES).join(', ')}`)
  }
  if (get('application_credential_id', 'application_credential_name') !== undefined)
    return 'application_credential'
  if (get('token') !== undefined) return get('auth_url') === undefined ? 'admin_token' : 'token'
  return get('auth_url') === undefined && get('endpoint') !== undefined ? 'none' : 'password'
}

export function credentialsOf(
  type: 'password' | 'token' | 'application_credential',
  fields: AuthFields,
): CloudCredentials {
  const { get, need, fail } = fields
  if (type === 'token') return { method: type, token: need('token') }
  const user = userOf(fields)
  if (type === 'password') {
    if (user === undefined) throw fail('username is missing')
    return { method: type, user, password: need('password') }
  }
  const secret = need('application_credential_secret')
  const id = get('application_credential_id')
  if (id !== undefined) return { method: type, credential: { id }, secret }
  const name = need('application_credential_name')
  if (user === undefined) throw fail('an application credential by its name needs its username')
  return { method: type, credential: { name, user }, secret }
}

/** The first of: system, project, domain. */
export function scopeOf(fields: AuthFields): Scope | undefined {
  const { get } = fields
  if (get('system_scope') === 'all') return { system: true }
  const project = placed(
    thing(get('project_id', 'tenant_id'), get('project_name', 'tenant_name')),
    domainOf(fields, 'project'),
  )
  if (project !== undefined) return { project }
  const domain = thing(get('domain_id'), get('domain_name'))
  return domain && { domain }
}

function userOf(fields: AuthFields): InDomain | undefined {
  const { get } = fields
  return placed(thing(get('user_id'), get('username', 'user_name')), domainOf(fields, 'user'))
}

function domainOf({ get }: AuthFields, of: 'user' | 'project'): Named | undefined {
  return (
    thing(get(`${of}_domain_id`), get(`${of}_domain_name`)) ??
    thing(get('default_domain_id', 'default_domain'), get('default_domain_name'))
  )
}

function thing(id: string | undefined, name: string | undefined): Named | undefined {
  if (id !== undefined) return { id }
  return name === undefined ? undefined : { name }
}

function placed(named: Named | undefined, domain: Named | undefined): InDomain | undefined {
  return named && { ...named, ...(domain && { domain }) }
}
