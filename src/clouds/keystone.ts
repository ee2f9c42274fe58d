import { setTimeout as wait } from 'node:timers/promises'
import type { IncomingMessage } from 'node:http'
import { type Context, makeContext } from '../base/context.ts'
import { Failure, messageOf } from '../base/failure.ts'
import type { CloudLimit, CloudService, Keystone, KeystoneOptions, TokenFacts } from './cloud.ts'
import { type CloudRequest, isConnectionError, openCloudHttp, readBody } from './cloud-http.ts'
import { findEndpoint, findService } from './find-endpoint.ts'
import { parseToken, tokenRequest } from './_token.ts'

/** What a token may look like; anything else is not worth a question. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/
/** A token that ends within this is renewed. */
const RENEW_BEFORE_MS = 60_000
/** What says that Keystone, or what stands before it, cannot answer now. */
const AWAY = new Set([429, 500, 502, 503, 504])

interface OwnToken {
  readonly id: string
  readonly facts: TokenFacts
  readonly catalogue: readonly CloudService[]
  /** When another is got, ms since the epoch. */
  readonly renewAt: number
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly json: unknown
}

/** Opens a client of Keystone; nothing is asked before something is wanted. */
export function openKeystone(
  options: KeystoneOptions,
  context: Pick<Context, 'now' | 'signal'> = makeContext(),
): Keystone {
  const base = baseOf(options.authUrl)
  const { retries = 3, retryDelayMs = 250, timeoutMs = 10_000, trust } = options
  const http = openCloudHttp({ timeoutMs, trust })
  const closed = new AbortController()
  const signal = AbortSignal.any([context.signal, closed.signal])
  let own: OwnToken | undefined
  let asking: Promise<OwnToken> | undefined

  /** Asks until somebody answers who is not away. */
  const ask = async (request: Omit<CloudRequest, 'signal'>): Promise<Answer> => {
    for (let tries = 0; ; tries++) {
      const answer = await askOnce(request)
      if ('status' in answer) return answer
      if (tries >= retries) throw away(base, answer.reason, answer.cause)
      await wait(retryDelayMs * 2 ** tries, undefined, { signal }).catch(() => {})
    }
  }

  const askOnce = async (
    request: Omit<CloudRequest, 'signal'>,
  ): Promise<Answer | { reason: string; cause?: unknown }> => {
    try {
      const response = await http.send({ ...request, signal })
      const body = await readBody(response)
      const { statusCode: status = 0, headers } = response
      if (AWAY.has(status)) return { reason: `it answers ${status}` }
      return { status, headers, json: parseJson(body) }
    } catch (cause) {
      if (signal.aborted) throw new Failure('INTERRUPTED', 'asking Keystone was interrupted')
      if (!isConnectionError(cause)) throw away(base, messageOf(cause), cause)
      return { reason: messageOf(cause) || 'no connection', cause }
    }
  }

  const newToken = async (): Promise<OwnToken> => {
    const { status, headers, json } = await ask({
      url: `${base}/auth/tokens`,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: Buffer.from(JSON.stringify(tokenRequest(options))),
    })
    const id = headers['x-subject-token']
    if (status !== 201 || typeof id !== 'string') throw refused(base, status, json)
    const { facts, catalogue } = parseToken(json)
    const end = facts.expiresAt.getTime()
    // One that lives shorter than the margin is used for half of its life.
    const life = end - context.now().getTime()
    return { id, facts, catalogue, renewAt: end - Math.min(RENEW_BEFORE_MS, life / 2) }
  }

  const ownToken = async (): Promise<OwnToken> => {
    if (own !== undefined && context.now().getTime() < own.renewAt) return own
    asking ??= newToken().finally(() => (asking = undefined))
    return (own = await asking)
  }

  const forgetToken = (id: string) => {
    if (own?.id === id) own = undefined
  }

  /** Asks as the own user; with a new token, once, if the old one is refused. */
  const askAsOwn = async (path: string, headers: Record<string, string> = {}): Promise<Answer> => {
    const go = async () => {
      const { id } = await ownToken()
      const request = { url: `${base}${path}`, headers: { ...headers, 'x-auth-token': id } }
      const answer = await ask(request)
      if (answer.status === 401) forgetToken(id)
      return answer
    }
    const first = await go()
    const answer = first.status === 401 ? await go() : first
    if (answer.status === 401 || answer.status === 403)
      throw refused(base, answer.status, answer.json)
    return answer
  }

  const listLimits: Keystone['listLimits'] = async ({ serviceId, projectId, resource, region }) => {
    const kind = projectId === undefined ? 'registered_limits' : 'limits'
    const query = new URLSearchParams({ service_id: serviceId })
    if (projectId !== undefined) query.set('project_id', projectId)
    if (resource !== undefined) query.set('resource_name', resource)
    if (region !== undefined) query.set('region_id', region)
    const { status, json } = await askAsOwn(`/${kind}?${query.toString()}`)
    if (status !== 200) throw away(base, `it answers ${status} when asked for limits`)
    const rows = (json as Record<string, WireLimit[] | undefined> | undefined)?.[kind]
    if (!Array.isArray(rows)) throw away(base, 'it sent no limits')
    return rows.map(limitOf)
  }

  return {
    token: async () => (await ownToken()).id,
    forgetToken,
    facts: async () => (await ownToken()).facts,
    catalogue: async () => (await ownToken()).catalogue,
    endpoint: async (wish) =>
      findEndpoint((await ownToken()).catalogue, {
        ...wish,
        interface: wish.interface ?? options.interface,
        region: wish.region ?? options.region,
      }),
    validateToken: async (token, { allowExpired = false } = {}) => {
      if (!TOKEN.test(token)) return undefined
      const path = `/auth/tokens?nocatalog${allowExpired ? '&allow_expired=1' : ''}`
      const { status, json } = await askAsOwn(path, { 'x-subject-token': token })
      if (status === 404 || status === 400) return undefined
      if (status !== 200) throw away(base, `it answers ${status} when asked about a token`)
      const { facts } = parseToken(json)
      return allowExpired || facts.expiresAt.getTime() > context.now().getTime() ? facts : undefined
    },
    listLimits,
    limits: async ({ service: type, projectId, region = options.region }) => {
      const service = findService((await ownToken()).catalogue, type)
      if (service === undefined)
        throw new Failure('ENDPOINT_UNKNOWN', `the catalogue has no service of type ${type}`)
      const of = { serviceId: service.id, region }
      const [defaults, ownLimits] = await Promise.all([
        listLimits(of),
        listLimits({ ...of, projectId }),
      ])
      return new Map([...defaults, ...ownLimits].map(({ resource, limit }) => [resource, limit]))
    },
    [Symbol.asyncDispose]: async () => {
      closed.abort()
      await http[Symbol.asyncDispose]()
    },
  }
}

interface WireLimit {
  resource_name: string
  service_id: string
  region_id: string | null
  project_id?: string | null
  resource_limit?: number
  default_limit?: number
}

function limitOf(wire: WireLimit): CloudLimit {
  const limit = wire.resource_limit ?? wire.default_limit
  if (typeof limit !== 'number') throw new Failure('KEYSTONE_AWAY', 'a limit without a number')
  return {
    resource: wire.resource_name,
    limit,
    serviceId: wire.service_id,
    region: wire.region_id,
    ...(typeof wire.project_id === 'string' && { projectId: wire.project_id }),
  }
}

/** The address of Identity v3, whichever version the configured one names. */
function baseOf(authUrl: string): string {
  if (!URL.canParse(authUrl))
    throw new Failure('CONFIG_INVALID', `auth_url: ${authUrl || 'nothing'} is no address`)
  return `${authUrl.replace(/\/+$/, '').replace(/\/v(2\.0|3)$/, '')}/v3`
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function away(base: string, reason: string, cause?: unknown): Failure {
  return new Failure('KEYSTONE_AWAY', `Keystone at ${base}: ${reason}`, {
    details: { url: base },
    cause,
  })
}

/** Its own words are shown: they say which part of who we are is wrong, and hold no secrets. */
function refused(base: string, status: number, json: unknown): Failure {
  const { error } = (json ?? {}) as { error?: { message?: unknown } }
  const said = typeof error?.message === 'string' ? `: ${error.message.slice(0, 300)}` : ''
  return new Failure('KEYSTONE_DENIED', `Keystone at ${base} answers ${status}${said}`, {
    details: { url: base, status },
  })
}
