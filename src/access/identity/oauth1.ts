/**
 * OAuth 1.0 with two legs, as Image Factory's clients sign their requests: a consumer key, a secret, HMAC-SHA1; no tokens.
 * Source: RFC 5849; sections are named where a rule stands.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import type { Caller } from '../caller.ts'
import { SeenNonces } from './_seen-nonces.ts'

export type Parameter = readonly [name: string, value: string]

/** A request, as its client signed it. */
export interface SignedRequest {
  readonly method: string
  /** Where the client meant to send it, with its query: `https://images.example:8075/imagefactory/base_images?a=1`. */
  readonly url: string
  readonly authorization: string | undefined
  /** The fields of a body that is `application/x-www-form-urlencoded`; left out: it is something else. */
  readonly form?: readonly Parameter[] | undefined
}

export interface OAuthVerifier {
  /** The key of the client that signed it. Fails with UNAUTHENTICATED; `details.challenge` is what 401 answers with. */
  verify(request: SignedRequest): string
}

/** To whom belongs what clients of Image Factory have made: they all see all of it, as they do there. */
export const OAUTH_PROJECT = 'imagefactory'
const ROLES = ['member', 'reader', 'factory_operator'] as const
const NO_ROLES: readonly string[] = []

/** The client of a key, as a caller: one who may say where to push, for he was given a secret of this server. */
export function oauthCaller(key: string, requestId: string): Caller {
  return {
    userId: key,
    projectId: OAUTH_PROJECT,
    roles: ROLES,
    serviceRoles: NO_ROLES,
    isAdmin: false,
    requestId,
  }
}

/** How far the clocks of clients may be off; a nonce is good once within it. */
const WINDOW_S = 300
const METHOD = 'HMAC-SHA1'
const CHALLENGE = 'OAuth realm="imagefactory"'

/** Clients are secrets by consumer keys. Nonces are remembered in this process. */
export function openOAuthVerifier(
  clients: Readonly<Record<string, string>>,
  now: () => Date,
): OAuthVerifier {
  const seen = new SeenNonces()
  const nobody = randomBytes(20).toString('hex') // the time that refusing takes does not tell which keys there are
  return {
    verify: (request) => {
      const signed = parseSigned(request)
      const { key, timestamp, nonce, signature, parameters } = signed
      const isKnown = Object.hasOwn(clients, key)
      const secret = isKnown ? (clients[key] ?? nobody) : nobody
      const expected = sign(toBaseString(request.method, request.url, parameters), secret)
      if (!isSame(signature, expected) || !isKnown) throw refusal('the signature is not valid')
      const nowS = Math.floor(now().getTime() / 1000)
      if (Math.abs(nowS - timestamp) > WINDOW_S)
        throw refusal(`the timestamp is more than ${WINDOW_S} seconds off the server’s clock`)
      if (!seen.add(`${key} ${nonce}`, timestamp, nowS - WINDOW_S))
        throw refusal('this request was made already: its nonce is known')
      return key
    },
  }
}

interface Signed {
  readonly key: string
  readonly timestamp: number
  readonly nonce: string
  readonly signature: string
  /** All that is signed: of the header, the query and the form. */
  readonly parameters: readonly Parameter[]
}

/** Parameters of the protocol may stand in the header, the form or the query (section 3.5). */
function parseSigned({ authorization, url, form = [] }: SignedRequest): Signed {
  const query = [...new URL(url).searchParams]
  const all: readonly Parameter[] = [...parseAuthorization(authorization), ...query, ...form]
  const only = (name: string): string | undefined => {
    const values = all.filter(([one]) => one === name).map(([, value]) => value)
    if (values.length > 1) throw refusal(`${name} stands there more than once`)
    return values[0]
  }
  const demand = (name: string): string => {
    const value = only(name)
    if (value !== undefined && value !== '') return value
    throw refusal(`${name} is missing: requests are signed by OAuth 1.0`)
  }
  const key = demand('oauth_consumer_key')
  const method = demand('oauth_signature_method')
  if (method !== METHOD) throw refusal(`signed by ${METHOD} only`)
  if ((only('oauth_version') ?? '1.0') !== '1.0') throw refusal('this is no OAuth 1.0')
  if ((only('oauth_token') ?? '') !== '') throw refusal('there are no tokens here')
  const timestamp = demand('oauth_timestamp')
  if (!/^[1-9]\d{0,11}$/.test(timestamp)) throw refusal('the timestamp is no number of seconds')
  return {
    key,
    timestamp: Number(timestamp),
    nonce: demand('oauth_nonce'),
    signature: demand('oauth_signature'),
    parameters: all,
  }
}

/** Section 3.5.1: `OAuth realm="…", name="value", …`; the realm is not signed. */
function parseAuthorization(header: string | undefined): Parameter[] {
  const fields = /^OAuth\s+(.*)$/is.exec(header ?? '')?.[1]
  if (fields === undefined) return []
  return fields.split(',').flatMap((field): Parameter[] => {
    const [, name, value] = /^\s*([^\s="]+)\s*=\s*"([^"]*)"\s*$/.exec(field) ?? []
    if (name === undefined || value === undefined)
      throw refusal('the Authorization header is no list of names and values')
    return name.toLowerCase() === 'realm' ? [] : [[decode(name), decode(value)]]
  })
}

/** What is signed (section 3.4.1). `oauth_signature` among the parameters is left out. */
export function toBaseString(
  method: string,
  url: string,
  parameters: readonly Parameter[],
): string {
  const normal = parameters
    .filter(([name]) => name !== 'oauth_signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted((one, other) => compare(one[0], other[0]) || compare(one[1], other[1]))
    .map((pair) => pair.join('='))
    .join('&')
  return [method.toUpperCase(), baseUriOf(url), normal].map(encode).join('&')
}

/** Section 3.4.2. */
export function sign(baseString: string, secret: string, tokenSecret = ''): string {
  const key = `${encode(secret)}&${encode(tokenSecret)}`
  return createHmac('sha1', key).update(baseString).digest('base64')
}

/** Section 3.4.1.2: lower case, without query, and without the port that is meant anyway. */
function baseUriOf(url: string): string {
  const { protocol, host } = new URL(url)
  const [, path = '/'] = /^\w+:\/\/[^/?#]*([^?#]*)/.exec(url) ?? []
  return `${protocol}//${host}${path || '/'}`
}

/** Section 3.6: all but letters, digits, `-`, `.`, `_` and `~`. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw refusal('the Authorization header is not encoded as it should be')
  }
}

/** By bytes; what is encoded is ASCII. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}

function refusal(message: string): Failure {
  return new Failure('UNAUTHENTICATED', message, {
    details: { challenge: CHALLENGE },
    fix: 'Sign the request by OAuth 1.0.',
  })
}
