/**
 * `auth: keystone`: Keystone is asked what a token says, and believed for a while. What it does not say is never
 * taken for a yes: when it is away, whoever it has not vouched for lately is told to come back.
 * Source: keystonemiddleware's auth_token, for service tokens and for the challenge.
 */
import { hash } from 'node:crypto'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { Recent } from '../../bytes/recent.ts'
import type { Keystone, TokenFacts } from '../../clouds/cloud.ts'
import type { Authenticator, Caller, Credentials, Policy } from '../caller.ts'
import { asCaller, type Identity } from './_identity.ts'
import { MAX_TOKEN_LENGTH } from './token-hash.ts'

export interface KeystoneAuthOptions {
  /** What clients are told to ask for a token. */
  readonly authUri: string
  /** How long a valid token is believed, ms; never beyond its end. */
  readonly cacheMs: number
  /** A service token has one of these roles, or is none. */
  readonly serviceRoles: readonly string[]
}

interface Vouched {
  readonly identity: Identity
  /** Believed until then, ms since the epoch. */
  readonly until: number
}

/** Some 500 bytes each. */
const MAX_VOUCHED = 20_000
const MAX_UNKNOWN = 5000
/** A token that Keystone does not know will hardly become valid; whoever guesses shall not make it work. */
const UNKNOWN_MS = 10_000

/** Closing it closes the client of Keystone too. */
export function openKeystoneAuthenticator(
  keystone: Keystone,
  options: KeystoneAuthOptions,
  policy: Policy,
  context: Pick<Context, 'now' | 'log'>,
): Authenticator {
  const tokens = new Tokens(keystone, options.cacheMs, context)
  const wanted = new Set(options.serviceRoles.map((role) => role.toLowerCase()))

  /** Roles of a service that speaks for the caller; none when its token is no service's. */
  const serviceRolesOf = async (serviceToken: string): Promise<readonly string[]> => {
    const identity = await tokens.identify(serviceToken)
    if (identity === undefined) throw invalid('the service token is not valid')
    if (identity.roles.some((role) => wanted.has(role))) return identity.roles
    context.log.warn('access.not-a-service', { user: identity.userId, roles: identity.roles })
    return []
  }

  /** Work of a service may take longer than the token lives of whom it works for. */
  const authenticateWithService = async (
    credentials: Credentials,
    token: string,
    serviceToken: string,
  ): Promise<Caller> => {
    const serviceRoles = await serviceRolesOf(serviceToken)
    const identity = await tokens.identify(token, serviceRoles.length > 0)
    if (identity === undefined) throw invalid('the token is not valid')
    return asCaller(identity, serviceRoles, credentials, policy)
  }

  const toCaller = (credentials: Credentials, identity: Identity | undefined): Caller => {
    if (identity === undefined) throw invalid('the token is not valid')
    return asCaller(identity, undefined, credentials, policy)
  }

  return {
    mode: 'keystone',
    challenge: `Keystone uri="${options.authUri.replaceAll('"', '')}"`,
    authenticate: (credentials) => {
      const { token, serviceToken } = credentials
      if (token === undefined) throw invalid('no token was given')
      if (serviceToken !== undefined)
        return authenticateWithService(credentials, token, serviceToken)
      const identity = tokens.identify(token)
      if (identity instanceof Promise) return identity.then((one) => toCaller(credentials, one))
      return toCaller(credentials, identity)
    },
    [Symbol.asyncDispose]: () => keystone[Symbol.asyncDispose](),
  }
}

function invalid(message: string): Failure {
  return new Failure('UNAUTHENTICATED', message)
}

/** What Keystone said of tokens, by their digests: whoever reads our memory later finds no tokens in it. */
class Tokens {
  readonly #keystone: Keystone
  readonly #cacheMs: number
  readonly #now: () => Date
  readonly #vouched = new Recent<string, Vouched>(MAX_VOUCHED)
  readonly #unknown = new Recent<string, number>(MAX_UNKNOWN)
  /** Questions that are under way: many who bring the same token ask once. */
  readonly #asking = new Map<string, Promise<Identity | undefined>>()

  constructor(keystone: Keystone, cacheMs: number, { now }: Pick<Context, 'now'>) {
    this.#keystone = keystone
    this.#cacheMs = cacheMs
    this.#now = now
  }

  /** At once if it is known. Undefined: the token is not valid. Fails with KEYSTONE_AWAY, KEYSTONE_DENIED. */
  identify(
    token: string,
    allowExpired = false,
  ): Identity | undefined | Promise<Identity | undefined> {
    if (token.length > MAX_TOKEN_LENGTH) return undefined
    const key = `${allowExpired ? 'late ' : ''}${hash('sha256', token, 'base64')}`
    const now = this.#now().getTime()
    const vouched = this.#vouched.get(key)
    if (vouched !== undefined && now < vouched.until) return vouched.identity
    if (now < (this.#unknown.get(key) ?? 0)) return undefined
    let asking = this.#asking.get(key)
    if (asking === undefined) {
      asking = this.#ask(token, key, allowExpired).finally(() => this.#asking.delete(key))
      this.#asking.set(key, asking)
    }
    return asking
  }

  async #ask(token: string, key: string, allowExpired: boolean): Promise<Identity | undefined> {
    const asked = this.#now().getTime()
    const facts = await this.#keystone.validateToken(token, { allowExpired })
    if (facts === undefined) {
      this.#vouched.delete(key)
      this.#unknown.set(key, asked + UNKNOWN_MS, 1)
      return undefined
    }
    const identity = toIdentity(facts)
    const end = allowExpired ? Infinity : facts.expiresAt.getTime()
    this.#vouched.set(key, { identity, until: Math.min(asked + this.#cacheMs, end) }, 1)
    return identity
  }
}

/** Implied roles are Keystone's matter: a token lists them. */
function toIdentity({ user, project, domain, isSystemScoped, roles }: TokenFacts): Identity {
  return {
    userId: user.id,
    projectId: project?.id ?? null,
    domainId: domain?.id ?? null,
    userDomainId: user.domain.id,
    projectDomainId: project?.domain.id ?? null,
    roles: roles.map((role) => role.toLowerCase()),
    isSystemScoped,
  }
}
