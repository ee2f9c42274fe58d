/** A session with Swift: a token, by either kind of auth, and requests that try again when that may help. */
import type { IncomingMessage } from 'node:http'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { asFileFailure, Failure, type FailureCode, isFailure } from '../../base/failure.ts'
import type { Context } from '../../base/context.ts'
import type { CloudCredentials, CloudInterface, Keystone, Trust } from '../../clouds/cloud.ts'
import {
  type CloudHttp,
  type CloudRequest,
  isConnectionError,
  openCloudHttp,
  readBody,
} from '../../clouds/cloud-http.ts'
import { openKeystone } from '../../clouds/keystone.ts'

/** As the schema of the driver says. */
export interface SwiftOptions {
  readonly auth_url: string
  readonly auth_version?: 1 | 3
  readonly username?: string
  readonly password?: string
  readonly user_domain_name?: string
  readonly project_name?: string
  readonly project_domain_name?: string
  readonly application_credential_id?: string
  readonly application_credential_secret?: string
  readonly region?: string
  readonly interface?: CloudInterface
  readonly storage_url?: string
  readonly container: string
  readonly prefix?: string
  readonly segment_size?: number
  readonly cacert?: string
  readonly insecure?: boolean
}

export interface SwiftRequest extends Omit<CloudRequest, 'url'> {
  /** Container and object, each encoded by the session. Left out: the account. */
  readonly path?: readonly string[]
  readonly query?: Readonly<Record<string, string>>
  /** Statuses that are answers too, beside 2xx. */
  readonly allow?: readonly number[]
}

export interface SwiftSession extends AsyncDisposable {
  /** The answer, whose body is read or destroyed by who asked. Fails as `STATUS_CODES` says. */
  send(request: SwiftRequest): Promise<IncomingMessage>
  /** The same, with the body read. */
  ask(
    request: SwiftRequest,
  ): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }>
  /** What `/info` says this Swift can; empty if it does not tell. */
  abilities(): Promise<Readonly<Record<string, Readonly<Record<string, unknown>>>>>
}

const RETRIES = 3
const RETRY_DELAY_MS = 200
/** How long it may be silent, also while it checks the manifest of a large object. */
const SILENCE_MS = 60_000

const STATUS_CODES: Readonly<Record<number, FailureCode>> = {
  401: 'STORE_DENIED',
  403: 'STORE_DENIED',
  404: 'OBJECT_NOT_FOUND',
  413: 'STORE_FULL',
  507: 'STORE_FULL',
}

/** What may pass: too many at a time, a check sum that does not fit, servers that cannot now. */
const WORTH_A_RETRY = new Set([408, 422, 429, 498, 500, 502, 503, 504])

export async function openSwiftSession(
  options: SwiftOptions,
  context: Pick<Context, 'now' | 'signal'>,
): Promise<SwiftSession> {
  const trust = await trustOf(options)
  const http = openCloudHttp({ trust, timeoutMs: SILENCE_MS })
  const access =
    options.auth_version === 1 ? tempAuth(options, http) : byKeystone(options, trust, context)
  const { signal: closing } = context

  const sendOnce = async (request: SwiftRequest): Promise<IncomingMessage> => {
    for (let renewed = false; ; renewed = true) {
      const { token, storageUrl } = await access.get()
      const headers = { ...request.headers, 'x-auth-token': token }
      const response = await http.send({ ...request, headers, url: urlOf(storageUrl, request) })
      if (response.statusCode !== 401 || renewed) return response
      response.destroy()
      access.forget(token)
    }
  }

  const send = async (request: SwiftRequest): Promise<IncomingMessage> => {
    const signal = request.signal ?? closing
    for (let tries = 0; ; tries++) {
      try {
        const response = await sendOnce({ ...request, signal })
        const { statusCode = 0 } = response
        const isAnswer = statusCode < 300 || request.allow?.includes(statusCode) === true
        if (isAnswer) return response
        if (tries >= RETRIES || !WORTH_A_RETRY.has(statusCode))
          throw await failureOf(request, response)
        response.destroy()
      } catch (error) {
        if (tries >= RETRIES || !isConnectionError(error)) throw error
      }
      await wait(RETRY_DELAY_MS * 2 ** tries, undefined, { signal })
    }
  }

  const ask: SwiftSession['ask'] = async (request) => {
    const response = await send(request)
    const { statusCode: status = 0, headers } = response
    return { status, headers, body: await readBody(response) }
  }

  return {
    send,
    ask,
    abilities: async () => {
      const { storageUrl } = await access.get()
      const response = await http.send({ url: new URL('/info', storageUrl).href, signal: closing })
      const body = await readBody(response)
      return response.statusCode === 200
        ? (JSON.parse(body.toString()) as Awaited<ReturnType<SwiftSession['abilities']>>)
        : {}
    },
    [Symbol.asyncDispose]: async () => {
      await access.close()
      await http[Symbol.asyncDispose]()
    },
  }
}

/** Where the account is, and what opens it. */
interface Access {
  get(): Promise<{ token: string; storageUrl: string }>
  forget(token: string): void
  close(): Promise<void>
}

/** Source: Swift, "The Auth System", v1. */
function tempAuth(options: SwiftOptions, http: CloudHttp): Access {
  let known: Promise<{ token: string; storageUrl: string }> | undefined
  const logIn = async () => {
    const response = await http.send({
      url: options.auth_url,
      headers: { 'x-auth-user': options.username ?? '', 'x-auth-key': options.password ?? '' },
    })
    response.resume()
    const { 'x-auth-token': token, 'x-storage-url': url } = response.headers
    const { statusCode: status = 0 } = response
    if (status < 300 && typeof token === 'string' && typeof url === 'string')
      return { token, storageUrl: options.storage_url ?? url }
    const code = status === 401 || status === 403 ? 'STORE_DENIED' : 'STORE_AWAY'
    throw new Failure(code, `${options.auth_url} answers ${status}`, { details: { status } })
  }
  return {
    get: async () => {
      known ??= logIn()
      try {
        return await known
      } catch (error) {
        known = undefined
        throw error
      }
    },
    forget: () => (known = undefined),
    close: async () => {},
  }
}

function byKeystone(
  options: SwiftOptions,
  trust: Trust,
  context: Pick<Context, 'now' | 'signal'>,
): Access {
  const { region, interface: side, project_name: project } = options
  const { project_domain_name: domain = 'Default' } = options
  const credentials = credentialsOf(options)
  const keystone: Keystone = openKeystone(
    {
      authUrl: options.auth_url,
      credentials,
      ...(credentials.method === 'password' &&
        project !== undefined && {
          scope: { project: { name: project, domain: { name: domain } } },
        }),
      region,
      interface: side,
      trust,
    },
    context,
  )
  return {
    get: async () => {
      try {
        const token = await keystone.token()
        const service = 'object-store'
        return { token, storageUrl: options.storage_url ?? (await keystone.endpoint({ service })) }
      } catch (error) {
        throw ofStore(error)
      }
    },
    forget: (token) => keystone.forgetToken(token),
    close: async () => await keystone[Symbol.asyncDispose](),
  }
}

/** To whom the store matters, it is the store that cannot be reached, or that refuses us. */
function ofStore(error: unknown): unknown {
  if (!isFailure(error) || error.code === 'INTERRUPTED') return error
  const code = error.code === 'KEYSTONE_DENIED' ? 'STORE_DENIED' : 'STORE_AWAY'
  return new Failure(code, error.message, { cause: error })
}

function credentialsOf(options: SwiftOptions): CloudCredentials {
  const { application_credential_id: id, application_credential_secret: secret } = options
  if (id !== undefined && secret !== undefined)
    return { method: 'application_credential', credential: { id }, secret }
  const { username: name, password, user_domain_name: domain = 'Default' } = options
  if (name !== undefined && password !== undefined)
    return { method: 'password', user: { name, domain: { name: domain } }, password }
  throw new Failure(
    'CONFIG_INVALID',
    'a store in Swift needs username and password, or an application credential’s id and secret',
  )
}

async function trustOf({ cacert, insecure = false }: SwiftOptions): Promise<Trust> {
  if (cacert === undefined) return { insecure }
  try {
    return { insecure, authorities: await readFile(cacert, 'utf8') }
  } catch (error) {
    throw asFileFailure(error, cacert)
  }
}

function urlOf(storageUrl: string, { path = [], query }: SwiftRequest): string {
  const parts = [storageUrl.replace(/\/+$/, ''), ...path.map(encodePath)]
  return `${parts.join('/')}${query ? `?${new URLSearchParams(query).toString()}` : ''}`
}

/** Slashes in names of objects stay. */
function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}

async function failureOf(request: SwiftRequest, response: IncomingMessage): Promise<Failure> {
  const { statusCode: status = 0 } = response
  const said = (await readBody(response).catch(() => Buffer.alloc(0))).toString()
  const text = said
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
  const what = `${request.method ?? 'GET'} ${request.path?.join('/') ?? 'account'}`
  const code = STATUS_CODES[status] ?? 'STORE_AWAY'
  return new Failure(code, `${what}: Swift answers ${status}${text && `: ${text}`}`, {
    details: { status },
  })
}
