/**
 * A client of container registries, as far as images are pushed and removed.
 * Source: OCI distribution specification 1.1; Docker, "Registry v2 authentication via central service".
 */
import type { IncomingMessage } from 'node:http'
import { Failure, messageOf, type FailureCode } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import {
  type CloudHttp,
  isConnectionError,
  openCloudHttp,
  readBody,
} from '../../clouds/cloud-http.ts'
import { messageIn } from '../../clouds/refusal-text.ts'

export interface RegistryPlace {
  /** `registry.example:5000` */
  readonly host: string
  readonly plainHttp: boolean
  readonly insecure: boolean
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** All functions fail with CLOUD_AWAY, CLOUD_DENIED, CLOUD_NOT_FOUND, CLOUD_FULL, CLOUD_FAILED, INTERRUPTED. */
export interface Registry extends AsyncDisposable {
  hasBlob(repository: string, digest: string): Promise<boolean>
  /** By its digest. */
  hasManifest(repository: string, digest: string, mediaType: string): Promise<boolean>
  /** Begins an upload; where it goes on. */
  beginUpload(repository: string): Promise<string>
  /** Sends all of a blob and ends its upload. */
  sendBlob(
    upload: string,
    digest: string,
    blob: { readonly stream: AsyncIterable<Uint8Array>; readonly size: number },
  ): Promise<void>
  /** Gives an upload up; that it is over is success. */
  cancelUpload(upload: string): Promise<void>
  /** By a tag, or by its digest. */
  putManifest(
    repository: string,
    reference: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  ): Promise<void>
  /** By its digest, `sha256:…`. False: it is gone. */
  deleteManifest(repository: string, digest: string): Promise<boolean>
}

/** Servers answer when all is in its place. */
const SILENCE_MS = 5 * 60_000
const MAX_ANSWER = MiB
/** A registry that keeps its blobs in a cloud's object store names their place there. */
const ELSEWHERE = [301, 302, 303, 307, 308]

interface Question {
  readonly method: string
  /** Below `/v2/`, or a whole address. */
  readonly at: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly stream?: { readonly content: AsyncIterable<Uint8Array>; readonly size: number }
  readonly accepts: readonly number[]
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export function openRegistry(place: RegistryPlace, signal: AbortSignal): Registry {
  const http = openCloudHttp({ trust: { insecure: place.insecure }, timeoutMs: SILENCE_MS })
  const base = `${place.plainHttp ? 'http' : 'https'}://${place.host}`
  /** Headers of authorization by what they are for: a registry gives one for each scope. */
  const known = new Map<string, string>()

  const ask = async (question: Question, scope: string): Promise<Answer> => {
    const url = new URL(question.at, `${base}/v2/`)
    // Who is at another address is told nothing of us.
    const isOurs = url.origin === new URL(base).origin
    for (let again = false; ; again = true) {
      const authorization = isOurs ? known.get(scope) : undefined
      const answer = await send(http, place.host, signal, {
        url: url.href,
        method: question.method,
        headers: { ...question.headers, ...(authorization !== undefined && { authorization }) },
        ...(question.body && { body: question.body }),
        ...(question.stream && { stream: question.stream }),
      })
      if (question.accepts.includes(answer.status)) return answer
      if (answer.status !== 401 || again || !isOurs || question.stream)
        throw toFailure(place.host, question, answer)
      known.set(scope, await authorize(http, place, answer.headers['www-authenticate'], signal))
    }
  }
  const scopes = new Map<string, string>()

  return {
    hasBlob: async (repository, digest) => {
      const at = `${repository}/blobs/${digest}`
      const accepts = [200, 404, ...ELSEWHERE]
      return (await ask({ method: 'HEAD', at, accepts }, pushing(repository))).status !== 404
    },
    hasManifest: async (repository, digest, mediaType) => {
      const question = { method: 'HEAD', at: `${repository}/manifests/${digest}` }
      const headers = { accept: mediaType }
      const accepts = [200, 404]
      return (await ask({ ...question, headers, accepts }, pushing(repository))).status === 200
    },
    beginUpload: async (repository) => {
      const at = `${repository}/blobs/uploads/`
      const question = { method: 'POST', at, body: new Uint8Array(), accepts: [202] }
      const { headers: told } = await ask(question, pushing(repository))
      const { location = '' } = told
      if (location === '') throw new Failure('CLOUD_FAILED', `${place.host} names no upload`)
      const upload = new URL(location, `${base}/v2/`).href
      scopes.set(upload, pushing(repository))
      return upload
    },
    sendBlob: async (upload, digest, { stream: content, size }) => {
      const scope = scopes.get(upload) ?? ''
      const headers = {
        'content-type': 'application/octet-stream',
        'content-range': `0-${size - 1}`,
      }
      const patch = { method: 'PATCH', at: upload, headers, stream: { content, size } }
      const { headers: told } = await ask({ ...patch, accepts: [202, 204] }, scope)
      const url = new URL(told.location ?? upload, upload)
      url.searchParams.set('digest', digest)
      await ask({ method: 'PUT', at: url.href, body: new Uint8Array(), accepts: [201] }, scope)
    },
    cancelUpload: async (upload) => {
      const { origin } = new URL(upload)
      if (origin !== new URL(base).origin) return // it ends by itself
      const [, repository = ''] =
        /^\/v2\/(.+)\/blobs\/uploads\//.exec(new URL(upload).pathname) ?? []
      await ask(
        { method: 'DELETE', at: upload, accepts: [200, 202, 204, 400, 404, 416] },
        pushing(repository),
      )
    },
    putManifest: async (repository, reference, { mediaType, bytes }) => {
      const at = `${repository}/manifests/${reference}`
      const headers = { 'content-type': mediaType }
      const question = { method: 'PUT', at, headers, body: bytes, accepts: [201] }
      await ask(question, pushing(repository))
    },
    deleteManifest: async (repository, digest) => {
      const at = `${repository}/manifests/${digest}`
      const scope = `repository:${repository}:delete,pull,push`
      const { status } = await ask({ method: 'DELETE', at, accepts: [200, 202, 404] }, scope)
      return status !== 404
    },
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  }
}

/** What a token is asked for. */
function pushing(repository: string): string {
  return `repository:${repository}:pull,push`
}

async function send(
  http: CloudHttp,
  host: string,
  signal: AbortSignal,
  request: Parameters<CloudHttp['send']>[0],
): Promise<Answer> {
  try {
    const response = await http.send({ ...request, signal })
    const body = await readBody(response, MAX_ANSWER)
    return { status: response.statusCode ?? 0, headers: response.headers, text: body.toString() }
  } catch (error) {
    if (signal.aborted) throw new Failure('INTERRUPTED', `speaking to ${host} was interrupted`)
    if (!isConnectionError(error)) throw error
    throw new Failure('CLOUD_AWAY', `registry ${host} does not answer: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** What to send for a challenge: the password itself, or a token that is got for it. Fails with CLOUD_DENIED. */
async function authorize(
  http: CloudHttp,
  place: RegistryPlace,
  challenge: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { username, password } = place
  const basic =
    username === undefined
      ? undefined
      : `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
  const { scheme, fields } = parseChallenge(challenge ?? '')
  if (scheme === 'basic' && basic !== undefined) return basic
  const { realm, service, scope } = fields
  if (scheme !== 'bearer' || realm === undefined || !URL.canParse(realm))
    throw new Failure('CLOUD_DENIED', `registry ${place.host} wants a user and a password`)
  const url = new URL(realm)
  if (url.protocol !== 'https:' && !place.plainHttp)
    throw new Failure('CLOUD_DENIED', `registry ${place.host} would have a password without TLS`)
  if (service !== undefined) url.searchParams.set('service', service)
  if (scope !== undefined) url.searchParams.set('scope', scope)
  const headers = basic === undefined ? {} : { authorization: basic }
  const answer = await send(http, url.host, signal, { url: url.href, headers })
  if (answer.status !== 200)
    throw new Failure('CLOUD_DENIED', `${url.host} gives no token for registry ${place.host}`)
  return `Bearer ${tokenIn(answer.text, place.host)}`
}

function tokenIn(text: string, host: string): string {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    read = undefined
  }
  const { token, access_token } = (read ?? {}) as { token?: unknown; access_token?: unknown }
  const found = token ?? access_token
  if (typeof found === 'string' && /^[\x21-\x7e]+$/.test(found)) return found
  throw new Failure('CLOUD_DENIED', `no token was given for registry ${host}`)
}

/** `Bearer realm="https://…",service="…",scope="…"`. Source: RFC 9110, 11.6.1. */
export function parseChallenge(header: string): {
  readonly scheme: string
  readonly fields: Readonly<Record<string, string>>
} {
  const [, scheme = '', rest = ''] = /^\s*([A-Za-z]+)\s*([^]*)$/.exec(header.slice(0, 8192)) ?? []
  const fields = [...rest.matchAll(/([a-z_]+)="([^"]*)"/g)].map(
    ([, name = '', value = '']) => [name, value] as const,
  )
  return { scheme: scheme.toLowerCase(), fields: Object.fromEntries(fields) }
}

const CODES: Readonly<Record<number, FailureCode>> = {
  401: 'CLOUD_DENIED',
  403: 'CLOUD_DENIED',
  404: 'CLOUD_NOT_FOUND',
  405: 'CLOUD_DENIED',
  413: 'CLOUD_FULL',
  429: 'CLOUD_AWAY',
  502: 'CLOUD_AWAY',
  503: 'CLOUD_AWAY',
  504: 'CLOUD_AWAY',
  507: 'CLOUD_FULL',
}

function toFailure(host: string, { method, at }: Question, { status, text }: Answer): Failure {
  const path = URL.canParse(at) ? new URL(at).pathname : at
  const said = messageIn(text)
  return new Failure(
    CODES[status] ?? 'CLOUD_FAILED',
    `registry ${host} answers ${status} to ${method} ${path}${said === '' ? '' : `: ${said}`}`,
    { details: { status } },
  )
}
