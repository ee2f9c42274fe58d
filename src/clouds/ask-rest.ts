/**
 * Questions to a cloud that speaks JSON over HTTP: asked again where that is safe, refusals as failures of ours.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { IncomingMessage } from 'node:http'
import { Failure, type FailureCode, isFailure, messageOf } from '../base/failure.ts'
import { type CloudHttp, type CloudRequest, isConnectionError, readBody } from './cloud-http.ts'

export interface Rest {
  readonly http: CloudHttp
  /** For people: `Google`. */
  readonly name: string
  /** Headers that say who asks. */
  authorization(): Promise<Readonly<Record<string, string>>>
  /** How often a question is asked again that found nobody. Default 5, */
  readonly retries?: number
  /** after this long, then twice that, and so on. Default 500 ms. */
  readonly delayMs?: number
}

export interface RestQuestion extends Omit<CloudRequest, 'signal'> {
  readonly signal: AbortSignal
  /** In place of `body`. */
  readonly json?: unknown
  /** Statuses that are answers. Default: 200 to 299. */
  readonly accepts?: readonly number[]
  /** Asking twice is as good as asking once. Default: all but POST, and what streams. */
  readonly repeatable?: boolean
}

export interface RestAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly json: unknown
}

const BY_STATUS: Readonly<Record<number, FailureCode>> = {
  401: 'CLOUD_DENIED',
  403: 'CLOUD_DENIED',
  404: 'CLOUD_NOT_FOUND',
  410: 'CLOUD_NOT_FOUND',
  413: 'CLOUD_FULL',
  507: 'CLOUD_FULL',
}
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** Fails with CLOUD_AWAY, CLOUD_DENIED, CLOUD_NOT_FOUND, CLOUD_FULL, CLOUD_FAILED, and INTERRUPTED. */
export async function askRest(rest: Rest, question: RestQuestion): Promise<RestAnswer> {
  const { method = 'GET', stream, signal } = question
  const repeatable = question.repeatable ?? (method !== 'POST' && stream === undefined)
  const { retries = 5, delayMs = 500 } = rest
  for (let tries = 0; ; tries++)
    try {
      return await askOnce(rest, question)
    } catch (error) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `asking ${rest.name} was interrupted`)
      // What streamed is gone.
      const isSafe = repeatable || (stream === undefined && isTooMuch(error))
      if (!isSafe || !isFailure(error, 'CLOUD_AWAY') || tries >= retries) throw error
      await wait(delayMs * 2 ** tries, undefined, { signal }).catch(() => {})
    }
}

/** Asks for something to be removed; that it is gone already is success. */
export async function askToRemove(
  rest: Rest,
  question: Omit<RestQuestion, 'method'>,
): Promise<RestAnswer | undefined> {
  try {
    return await askRest(rest, { ...question, method: 'DELETE' })
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return undefined
    throw error
  }
}

async function askOnce(rest: Rest, question: RestQuestion): Promise<RestAnswer> {
  const { json, accepts, repeatable: _, ...request } = question
  const what = `${rest.name}: ${request.method ?? 'GET'} ${new URL(request.url).pathname}`
  try {
    const response = await rest.http.send({
      ...request,
      headers: {
        accept: 'application/json',
        ...(await rest.authorization()),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...request.headers,
      },
      ...(json !== undefined && { body: Buffer.from(JSON.stringify(json)) }),
    })
    const { statusCode: status = 0, headers } = response
    const text = (await readBody(response)).toString()
    const isAnswer = accepts?.includes(status) ?? (status >= 200 && status < 300)
    if (!isAnswer) throw refusal(what, status, text)
    return { status, headers, json: parse(text) }
  } catch (cause) {
    if (isConnectionError(cause))
      throw new Failure('CLOUD_AWAY', `${what}: ${messageOf(cause)}`, { cause })
    throw cause
  }
}

/** A 429 was not even looked at. */
function isTooMuch(error: unknown): boolean {
  return isFailure(error) && error.details['status'] === 429
}

function refusal(what: string, status: number, text: string): Failure {
  const reason = reasonOf(parse(text)) ?? text
  const isQuota = status !== 429 && /quota|no space|insufficient/i.test(reason)
  const code = PASSING.has(status) ? 'CLOUD_AWAY' : (BY_STATUS[status] ?? 'CLOUD_FAILED')
  return new Failure(
    isQuota ? 'CLOUD_FULL' : code,
    `${what}: ${status} ${reason.replaceAll(/\s+/g, ' ').slice(0, 300)}`.trimEnd(),
    { details: { status } },
  )
}

/** Where clouds say it: Google and Azure in `error.message`, oVirt in `detail`. */
function reasonOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined
  const { error, detail, fault } = json as Record<string, unknown>
  const { message } = (typeof error === 'object' && error !== null ? error : {}) as {
    message?: unknown
  }
  const within = (typeof fault === 'object' && fault !== null ? fault : {}) as { detail?: unknown }
  return [message, detail, within.detail].find((one) => typeof one === 'string')
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown)
  } catch {
    return undefined
  }
}
