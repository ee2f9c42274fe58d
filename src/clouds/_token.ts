/** Keystone's words for who asks, and for what a token says. Source: the Identity API v3, `/v3/auth/tokens`. */
import { Failure } from '../base/failure.ts'
import type {
  CloudCredentials,
  CloudService,
  InDomain,
  KeystoneOptions,
  Named,
  Scope,
  TokenFacts,
} from './cloud.ts'

/** The body that asks for a token. */
export function tokenRequest({ credentials, scope }: KeystoneOptions): object {
  return {
    auth: { identity: identityOf(credentials), ...(scope && { scope: scopeOf(scope) }) },
  }
}

function identityOf(credentials: CloudCredentials): object {
  const { method } = credentials
  if (method === 'password') {
    const user = { ...inDomain(credentials.user), password: credentials.password }
    return { methods: [method], password: { user } }
  }
  if (method === 'token') return { methods: [method], token: { id: credentials.token } }
  const { credential, secret } = credentials
  const user = credential.user && inDomain(credential.user)
  return { methods: [method], [method]: { ...named(credential), secret, ...(user && { user }) } }
}

function scopeOf(scope: Scope): object {
  if ('project' in scope) return { project: inDomain(scope.project) }
  if ('domain' in scope) return { domain: named(scope.domain) }
  return { system: { all: true } }
}

/** An id is enough; a name needs its domain. */
function inDomain(thing: InDomain): object {
  if (thing.id !== undefined) return { id: thing.id }
  return { name: thing.name, domain: named(thing.domain ?? { id: 'default' }) }
}

function named({ id, name }: Named): Named {
  return id === undefined ? { ...(name !== undefined && { name }) } : { id }
}

interface WireThing {
  id: string
  name: string
  domain?: { id: string; name: string }
}

interface WireToken {
  user: WireThing
  project?: WireThing
  domain?: WireThing
  system?: { all?: boolean }
  roles?: { name: string }[]
  issued_at: string
  expires_at: string
  catalog?: {
    id: string
    type: string
    name?: string
    endpoints: { interface: string; region?: string | null; region_id?: string; url: string }[]
  }[]
}

/** What an answer of `/v3/auth/tokens` says. Fails with KEYSTONE_AWAY if it is not one of Keystone's. */
export function parseToken(json: unknown): {
  facts: TokenFacts
  catalogue: readonly CloudService[]
} {
  try {
    const { token } = json as { token: WireToken }
    return { facts: factsOf(token), catalogue: (token.catalog ?? []).map(serviceOf) }
  } catch (cause) {
    throw new Failure('KEYSTONE_AWAY', 'what answers is not Keystone: it sent no token', { cause })
  }
}

function factsOf(token: WireToken): TokenFacts {
  const expiresAt = new Date(token.expires_at)
  if (Number.isNaN(expiresAt.getTime())) throw new Error('no time of expiry')
  return {
    user: placed(token.user),
    ...(token.project && { project: placed(token.project) }),
    ...(token.domain && { domain: thing(token.domain) }),
    isSystemScoped: token.system?.all === true,
    roles: (token.roles ?? []).map((role) => role.name),
    issuedAt: new Date(token.issued_at),
    expiresAt,
  }
}

function thing({ id, name }: WireThing): Required<Named> {
  if (typeof id !== 'string') throw new Error('something without an id')
  return { id, name }
}

function placed(wire: WireThing): Required<Named> & { domain: Required<Named> } {
  return { ...thing(wire), domain: thing(wire.domain ?? { id: '', name: '' }) }
}

type WireService = NonNullable<WireToken['catalog']>[number]

function serviceOf({ id, type, name = '', endpoints }: WireService): CloudService {
  return {
    id,
    type,
    name,
    endpoints: endpoints.map((one) => ({
      interface: one.interface,
      region: one.region_id ?? one.region ?? '',
      url: one.url,
    })),
  }
}
