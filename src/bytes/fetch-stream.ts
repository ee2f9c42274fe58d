/**
 * Content from the web as it comes, kept nowhere. Addresses that strangers name are asked for with
 * care: only on the public internet, which is checked where the connection is made (so that a name
 * cannot mean something else a moment later), and again at every redirect.
 */
import { lookup } from 'node:dns'
import { get as getPlain, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as getSecure } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { Context } from '../base/context.ts'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { formatSize, TiB } from '../base/units.ts'
import { isPublicAddress } from './public-address.ts'

export interface FetchStreamOptions {
  /** Also from private and local addresses. */
  readonly allowPrivate?: boolean | undefined
  /** More bytes than these are not taken. Default 1 TiB. */
  readonly maxSize?: number | undefined
  /** How long the server may be silent. Default 30 s. */
  readonly silenceMs?: number | undefined
}

const MAX_REDIRECTS = 5

/**
 * The body of what stands at an `http:` or `https:` address. It is asked for when the first chunk is.
 * Leaving the loop over it ends the connection. Fails with DOWNLOAD_FAILED, INTERRUPTED.
 */
export async function* fetchStream(
  url: string,
  options: FetchStreamOptions,
  context: Context,
): AsyncGenerator<Uint8Array> {
  const { maxSize = 1 * TiB } = options
  let size = 0
  try {
    const response = await follow(url, options, context)
    const total = Number(response.headers['content-length'] ?? Number.NaN)
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) throw failure(url, `it has more than ${formatSize(maxSize)}`)
      context.progress({ kind: 'bytes', name: url, done: size, ...(total > 0 && { total }) })
      yield chunk
    }
    if (!response.complete) throw failure(url, 'the connection ended before the content')
  } catch (error) {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', `fetching ${url} was interrupted`, { cause: error })
    throw isFailure(error) ? error : failure(url, messageOf(error), error)
  }
}

async function follow(
  url: string,
  options: FetchStreamOptions,
  context: Context,
): Promise<IncomingMessage> {
  let at = url
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await request(at, options, context)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    const isRedirect = [301, 302, 303, 307, 308].includes(statusCode)
    if (!isRedirect || headers.location === undefined)
      throw failure(at, `the server answers ${statusCode}`)
    at = new URL(headers.location, at).href
  }
  throw failure(url, `more than ${MAX_REDIRECTS} redirects`)
}

async function request(
  url: string,
  { allowPrivate = false, silenceMs = 30_000 }: FetchStreamOptions,
  { signal }: Context,
): Promise<IncomingMessage> {
  if (!URL.canParse(url)) throw failure(url, 'this is no address')
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:')
    throw failure(url, 'wanted https:// or http://')
  const host = hostname.replaceAll(/^\[|\]$/g, '')
  if (!allowPrivate && isIP(host) !== 0) checkAddress(url, host)
  const settings: RequestOptions = {
    signal,
    agent: false,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'ingot' },
    ...(!allowPrivate && { lookup: publicLookup(url) }),
  }
  return await new Promise<IncomingMessage>((resolve, reject) => {
    const get = protocol === 'https:' ? getSecure : getPlain
    const asked = get(url, settings, resolve)
    asked.once('error', reject)
    asked.setTimeout(silenceMs, () =>
      asked.destroy(failure(url, `no answer for ${silenceMs / 1000} s`)),
    )
  })
}

/** Looks a name up and refuses it when any of its addresses is not public. */
function publicLookup(url: string): LookupFunction {
  return (name, options, answer) => {
    lookup(name, { ...options, all: true }, (error, addresses) => {
      try {
        if (error) throw error
        for (const { address } of addresses) checkAddress(url, address)
        const [first] = addresses
        if (options.all) answer(null, addresses)
        else answer(null, first?.address ?? '', first?.family ?? 4)
      } catch (problem) {
        answer(problem instanceof Error ? problem : new Error(String(problem)), [])
      }
    })
  }
}

function checkAddress(url: string, address: string): void {
  if (isPublicAddress(address)) return
  throw new Failure(
    'DOWNLOAD_FAILED',
    `${url} is at ${address}, which is not on the public internet`,
    {
      details: { url, address },
      fix: 'If that is meant, say --allow-private.',
    },
  )
}

function failure(url: string, reason: string, cause?: unknown): Failure {
  return new Failure('DOWNLOAD_FAILED', `${url}: ${reason}`, { details: { url }, cause })
}
