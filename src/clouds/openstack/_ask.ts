/**
 * Questions to one service of an OpenStack cloud: with a token that is renewed once when it is refused, asked again where
 * that is safe, refusals as failures of ours.
 */
import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { Failure, isFailure, messageOf } from '../../base/failure.ts'
import { type CloudHttp, type CloudRequest, isConnectionError, readBody } from '../cloud-http.ts'
import { isPassing, toRefusal } from './_refusals.ts'

/** What all services of a cloud are asked with. */
export interface Asking {
  readonly http: CloudHttp
  /** For people: `compute of cloud north`. */
  readonly name: string
  /** Where the service answers, without a slash at the end. */
  endpoint(): Promise<string>
  /** Undefined: none is needed. */
  token(): Promise<string | undefined>
  forgetToken(token: string): void
  readonly signal: AbortSignal
  readonly patience: Patience
}

export interface Patience {
  /** How often a question is asked again that found nobody. */
  readonly retries: number
  /** After this long, then twice that, and so on, but at most 15 s. */
  readonly delayMs: number
}

const MAX_DELAY_MS = 15_000

export interface Question {
  /** Default GET. */
  readonly method?: string
  /** Beginning with a slash: `/servers/detail`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly stream?: CloudRequest['stream']
  /** How long it may be silent before it answers. */
  readonly timeoutMs?: number
  /** Asking twice is as good as asking once. Default: of GET, HEAD, PUT and DELETE without a stream. */
  readonly repeatable?: boolean
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly json: unknown
}

/** The answer whose body is still to be read. Fails as `OpenStack`. */
export async function askFor(asking: Asking, question: Question): Promise<IncomingMessage> {
  const { method = 'GET', stream } = question
  const repeatable = question.repeatable ?? (method !== 'POST' && stream === undefined)
  let renewed = false
  for (let tries = 0; ;) {
    const token = await asking.token()
    const outcome = await askOnce(asking, question, token)
    if (!('failure' in outcome)) return outcome
    const { failure, status } = outcome
    if (status === 401 && token !== undefined && !renewed && stream === undefined) {
      renewed = true
      asking.forgetToken(token)
      continue
    }
    // 429: it was not even looked at.
    const isSafe = repeatable || (status === 429 && stream === undefined)
    if (!isSafe || !outcome.passing || tries >= asking.patience.retries) throw failure
    await rest(asking, tries++, outcome.retryAfterMs)
  }
}

/** The answer whole: its JSON, of no more than 16 MiB. */
export async function ask(asking: Asking, question: Question): Promise<Answered> {
  const response = await askFor(asking, question)
  const { statusCode: status = 0, headers } = response
  try {
    const text = (await readBody(response)).toString()
    return { status, headers, json: text === '' ? undefined : (JSON.parse(text) as unknown) }
  } catch (cause) {
    if (asking.signal.aborted) throw interrupted(asking)
    const code = isConnectionError(cause) ? 'CLOUD_AWAY' : 'CLOUD_FAILED'
    throw new Failure(code, `${asking.name}: its answer cannot be read: ${messageOf(cause)}`, {
      cause,
    })
  }
}

/** Deletes what is at `path`. False: it was gone already. */
export async function askToDelete(
  asking: Asking,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  try {
    await ask(asking, { method: 'DELETE', path, headers })
    return true
  } catch (error) {
    if (isFailure(error, 'CLOUD_NOT_FOUND')) return false
    throw error
  }
}

/**
 * Makes something that must not be made twice. When nobody knows whether it was made (the answer was lost, or was an
 * error of the service), `find` looks for it; only if it is not there is it asked for again.
 */
export async function askOnceOnly<Thing>(
  asking: Asking,
  make: () => Promise<Thing>,
  find: () => Promise<Thing | undefined>,
): Promise<Thing> {
  for (let tries = 0; ; tries++)
    try {
      return await make()
    } catch (error) {
      if (!isUncertain(error)) throw error
      await rest(asking, tries)
      const found = await find()
      if (found !== undefined) return found
      if (tries >= asking.patience.retries) throw error
    }
}

/** Nobody knows whether it was done. (429 says that it was not, and was asked again enough.) */
function isUncertain(error: unknown): boolean {
  if (!isFailure(error)) return false
  const { status, passing } = error.details
  return status === undefined ? error.code === 'CLOUD_AWAY' : passing === true && status !== 429
}

async function rest({ patience, signal, ...asking }: Asking, tries: number, wishMs = 0) {
  const ms = Math.min(MAX_DELAY_MS, Math.max(wishMs, patience.delayMs * 2 ** tries))
  await wait(ms, undefined, { signal }).catch(() => {
    throw interrupted(asking)
  })
}

interface Refused {
  readonly failure: Failure
  readonly status: number | undefined
  /** Asked later, the answer may be another. */
  readonly passing: boolean
  readonly retryAfterMs?: number
}

async function askOnce(
  asking: Asking,
  question: Question,
  token: string | undefined,
): Promise<IncomingMessage | Refused> {
  const { method = 'GET', path, json, stream, timeoutMs } = question
  const url = `${await asking.endpoint()}${path}${queryOf(question)}`
  const sent = stream && new Sent(stream)
  try {
    const response = await asking.http.send({
      url,
      method,
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { 'x-auth-token': token }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...question.headers,
      },
      signal: asking.signal,
      ...(json !== undefined && { body: Buffer.from(JSON.stringify(json)) }),
      ...(sent && { stream: sent }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
    const { statusCode: status = 0 } = response
    if (status < 300) return response
    const text = (await readBody(response, 1024 * 1024)).toString()
    const seconds = Number(response.headers['retry-after'])
    return {
      failure: toRefusal(asking.name, { method, path, status, text }),
      status,
      passing: isPassing(status),
      ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
    }
  } catch (cause) {
    if (asking.signal.aborted) throw interrupted(asking)
    if (cause instanceof Failure || sent?.broken === cause) throw cause
    const failure = new Failure('CLOUD_AWAY', `${asking.name}: ${messageOf(cause)}`, { cause })
    return { failure, status: undefined, passing: isConnectionError(cause) }
  }
}

/** Content on its way, which must be as long as it was told, and whose own errors are not the connection's. */
class Sent {
  readonly size: number | undefined
  readonly content: AsyncIterable<Uint8Array>
  broken: unknown

  constructor({ content, size }: NonNullable<CloudRequest['stream']>) {
    this.size = size
    this.content = this.#watch(content)
  }

  async *#watch(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let length = 0
    try {
      for await (const piece of content) {
        length += piece.length
        if (this.size !== undefined && length > this.size) break
        yield piece
      }
      if (this.size === undefined || length === this.size) return
      throw new Error(`the content is not of the ${this.size} bytes that were told`)
    } catch (error) {
      this.broken = error
      throw error
    }
  }
}

function queryOf({ query = {} }: Question): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined)
      for (const one of typeof value === 'string' ? [value] : value) parameters.append(name, one)
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}

function interrupted({ name }: Pick<Asking, 'name'>): Failure {
  return new Failure('INTERRUPTED', `asking ${name} was interrupted`)
}
