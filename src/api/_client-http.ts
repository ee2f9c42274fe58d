import { type ClientRequest, Agent, type IncomingMessage, request as askPlain } from 'node:http'
import { Agent as SecureAgent, request as askSecure } from 'node:https'
import { rootCertificates } from 'node:tls'
import type { Context } from '../base/context.ts'
import { Failure, type FailureCode, messageOf } from '../base/failure.ts'
import { FAILURES } from '../base/failures.ts'
import { MiB } from '../base/units.ts'
import { sendBody } from '../bytes/send-body.ts'
import type { ClientOptions, UploadData } from './client.ts'
import type { WireRefusal } from './wire.ts'

/** How long a server may be silent. An upload is answered only when all is in its place. */
const SILENCE_MS = 10 * 60_000
const MAX_ANSWER = 64 * MiB

export interface Ask {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly data?: UploadData
  /** It is carried to its end, also when we are told to stop: what was begun is undone by it. */
  readonly undoes?: boolean
}

export interface ClientHttp extends AsyncDisposable {
  readonly base: string
  /** The answer, unless it is a refusal. A token that is refused is renewed, once. */
  send(ask: Ask): Promise<IncomingMessage>
}

/** HTTP to an image service, with its tokens, and its refusals as failures of ours. */
export function openClientHttp(options: ClientOptions, { signal }: Context): ClientHttp {
  const base = options.endpoint.replace(/\/+(v2(\.\d+)?\/*)?$/, '')
  if (!URL.canParse(base) || !/^https?:/i.test(base))
    throw new Failure('USAGE', `wanted an address of http or https, found '${options.endpoint}'`)
  const secure = new URL(base).protocol === 'https:'
  const agent = secure
    ? new SecureAgent({
        keepAlive: true,
        rejectUnauthorized: options.insecure !== true,
        ...(options.authorities !== undefined && {
          ca: [...rootCertificates, options.authorities],
        }),
      })
    : new Agent({ keepAlive: true })

  const start = (ask: Ask, token: string | undefined): ClientRequest => {
    const settings = {
      method: ask.method,
      agent,
      ...(!ask.undoes && { signal }),
      timeout: SILENCE_MS,
      ...(options.socketPath !== undefined && { socketPath: options.socketPath }),
      headers: {
        accept: 'application/json',
        'user-agent': 'ingot',
        ...(token !== undefined && { 'x-auth-token': token }),
        ...ask.headers,
      },
    }
    return secure
      ? askSecure(`${base}${ask.path}`, settings)
      : askPlain(`${base}${ask.path}`, settings)
  }

  const once = async (ask: Ask, token: string | undefined): Promise<IncomingMessage> => {
    const asked = start(ask, token)
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve)
      asked.once('timeout', () => asked.destroy(new Error('no answer in time')))
      asked.on('error', (error) => reject(unreachable(base, error, signal)))
    })
    if (ask.data !== undefined) return await sendBody(asked, ask.data.stream, answer)
    const body = ask.json === undefined ? undefined : Buffer.from(JSON.stringify(ask.json))
    if (body !== undefined) asked.setHeader('content-length', body.length) // a DELETE would go without
    asked.end(body)
    return await answer
  }

  const send = async (ask: Ask): Promise<IncomingMessage> => {
    const token = await options.token?.()
    const response = await once(ask, token)
    if (response.statusCode !== 401 || token === undefined || ask.data !== undefined)
      return await checked(response)
    response.destroy()
    options.forgetToken?.(token)
    return await checked(await once(ask, await options.token?.()))
  }

  return { base, send, [Symbol.asyncDispose]: async () => agent.destroy() }
}

/** The body, or a failure where the connection ended before it did. */
export async function* wholeBody(
  response: IncomingMessage,
  base: string,
): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Buffer>
  } catch (error) {
    throw new Failure('READER_GONE', `${base} ended the connection: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (!response.complete)
    throw new Failure('IMAGE_TRUNCATED', `${base} ended the connection before the end of the data`)
}

/** The answer, unless it is a refusal: then what the server said, as a failure of ours. */
async function checked(response: IncomingMessage): Promise<IncomingMessage> {
  const { statusCode = 0 } = response
  if (statusCode < 300) return response
  throw readRefusal(statusCode, (await readAll(response)).toString('utf8'))
}

/** The failure that an Ingot met, whatever it is; of anybody else, what the status says. */
function readRefusal(status: number, text: string): Failure {
  try {
    const { failure, message, fix } = JSON.parse(text) as Partial<WireRefusal>
    if (failure !== undefined && Object.hasOwn(FAILURES, failure) && message !== undefined) {
      const own =
        fix !== undefined && message.endsWith(fix) ? message.slice(0, -fix.length) : message
      const options = { details: { status }, ...(fix !== undefined && { fix }) }
      return new Failure(failure as FailureCode, own.trim().replace(/\.$/, ''), options)
    }
  } catch {
    // not JSON: a page of somebody else
  }
  return refusalByStatus(status, text)
}

/** Of any image service: the kind by the status, the message as it comes. */
function refusalByStatus(status: number, text: string): Failure {
  return new Failure(codeOf(status), messageIn(text) || `the server answers ${status}`, {
    details: { status },
  })
}

/** The kind of failure that a status stands for, where the body does not say. */
function codeOf(status: number): FailureCode {
  const codes: Readonly<Record<number, FailureCode>> = {
    400: 'REQUEST_INVALID',
    401: 'UNAUTHENTICATED',
    403: 'FORBIDDEN',
    404: 'IMAGE_NOT_FOUND',
    409: 'IMAGE_STATE',
    410: 'IMAGE_GONE',
    413: 'LIMIT_EXCEEDED',
    415: 'FORMAT_MISMATCH',
    416: 'RANGE_IMPOSSIBLE',
  }
  return codes[status] ?? 'REMOTE_UNREACHABLE'
}

/** What an error's body says, as JSON or as a page. */
function messageIn(body: string): string {
  let text = body
  try {
    const parsed = JSON.parse(body) as { message?: unknown }
    if (typeof parsed.message === 'string') text = parsed.message
  } catch {
    // not JSON: a page, or plain text
  }
  return text
    .replace(/^\d{3} [\w '-]+\r?\n\s*\n/, '') // the status again, above a plain text
    .replaceAll(/<(title|h1)>.*?<\/\1>|<[^>]*>/gs, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 2000)
}

/** The rest of an answer, which is not data. */
export async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_ANSWER)
      throw new Failure('REMOTE_UNREACHABLE', `an answer of more than ${MAX_ANSWER} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unreachable(base: string, error: Error, signal: AbortSignal): Failure {
  if (signal.aborted) return new Failure('INTERRUPTED', 'interrupted', { cause: error })
  return new Failure('REMOTE_UNREACHABLE', `${base}: ${messageOf(error)}`, {
    cause: error,
    fix: 'See whether a server runs there, and whether this host reaches it.',
  })
}
