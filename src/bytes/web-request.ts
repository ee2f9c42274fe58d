/**
 * One question to the web, with care: what may be asked is checked for every address on the way, and what a
 * name means is checked where the connection is made, so that it cannot mean something else a moment later.
 */
import { lookup as lookUp, type LookupAddress } from 'node:dns'
import {
  type Agent,
  type IncomingMessage,
  request as askPlain,
  type RequestOptions,
} from 'node:http'
import { type Agent as SecureAgent, request as askSecure } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { Failure, systemCode } from '../base/failure.ts'

/** What may be asked for. Both functions refuse by throwing. */
export interface WebRules {
  /** An address, before it is asked: the first one, and each that an answer redirects to. */
  checkUrl(url: URL): void
  /** A number that the host of an address stands for, before it is connected to. */
  checkAddress(url: URL, address: string): void
}

export interface WebQuestion {
  readonly rules: WebRules
  readonly signal: AbortSignal
  /** How long the server may be silent. */
  readonly silenceMs: number
  readonly headers?: Readonly<Record<string, string>>
  /** What is sent, by PUT; an answer that redirects is then the answer. Left out: GET. */
  readonly put?: string | undefined
  /** What names mean. Default: as this host knows them. */
  readonly lookup?: Lookup | undefined
  /** Connections that are kept, for who asks often by the same rules. Default: one for each question. */
  readonly agents?: { readonly plain: Agent; readonly secure: SecureAgent } | undefined
}

/** Every address of a name. */
export type Lookup = (name: string) => Promise<readonly LookupAddress[]>

const MAX_REDIRECTS = 5
/** Headers that go along with redirects to anywhere. */
const TOLD_TO_ALL: ReadonlySet<string> = new Set([
  'range',
  'if-range',
  'accept',
  'if-none-match',
  'if-modified-since',
])
const REDIRECTS: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308])

/**
 * The first answer that is no redirect, whatever its status, its body still to be read. Fails with
 * DOWNLOAD_FAILED (no address, too many redirects) and with what the rules throw: asking again is no use.
 * Throws whatever else happens on the way, silence too.
 */
export async function askWeb(
  url: string,
  question: WebQuestion,
): Promise<{ response: IncomingMessage; url: string }> {
  let at = url
  let asked = question
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await askOnce(at, asked)
    const { location } = response.headers
    const isLast = asked.put !== undefined || !REDIRECTS.has(response.statusCode)
    if (isLast || location === undefined) return { response, url: at }
    response.destroy()
    if (!URL.canParse(location, at)) throw downloadFailure(at, 'it redirects to no address')
    const next = new URL(location, at)
    if (next.origin !== new URL(at).origin) asked = { ...asked, headers: withoutSecrets(asked) }
    at = next.href
  }
  throw downloadFailure(url, `more than ${MAX_REDIRECTS} redirects`)
}

/**
 * Asks the rules of an address that another program will ask for. A name that means nothing here passes: that program
 * gets no further, unless by a proxy. Fails with what the rules throw.
 */
export async function checkReach(
  url: URL,
  rules: WebRules,
  lookup: Lookup = lookUpHere,
): Promise<void> {
  rules.checkUrl(url)
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  const found = isIP(host) === 0 ? await lookup(host).catch(() => []) : [{ address: host }]
  for (const { address } of found) rules.checkAddress(url, address)
}

/** What may be told to a server that another one sent us to: not who we are. */
function withoutSecrets({ headers = {} }: WebQuestion): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => TOLD_TO_ALL.has(name)))
}

async function askOnce(url: string, question: WebQuestion): Promise<IncomingMessage> {
  if (!URL.canParse(url)) throw downloadFailure(url, 'this is no address')
  const { rules, silenceMs, signal, headers, agents, put } = question
  const asked = new URL(url)
  if (asked.protocol !== 'http:' && asked.protocol !== 'https:')
    throw downloadFailure(url, 'wanted https:// or http://')
  rules.checkUrl(asked)
  const host = asked.hostname.replaceAll(/^\[|\]$/g, '')
  if (isIP(host) !== 0) rules.checkAddress(asked, host)
  const settings: RequestOptions = {
    signal,
    method: put === undefined ? 'GET' : 'PUT',
    agent: (asked.protocol === 'https:' ? agents?.secure : agents?.plain) ?? false,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'ingot', ...headers },
    lookup: checkedLookup(asked, question),
  }
  try {
    return await send(asked, settings, { silenceMs, body: put })
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error
    return await askOnce(url, { ...question, agents: undefined })
  }
}

/** A kept connection that ended before it heard the question. */
class StaleConnection extends Error {}

async function send(
  url: URL,
  settings: RequestOptions,
  { silenceMs, body }: { silenceMs: number; body: string | undefined },
): Promise<IncomingMessage> {
  return await new Promise<IncomingMessage>((resolve, reject) => {
    const ask = url.protocol === 'https:' ? askSecure : askPlain
    let answer: IncomingMessage | undefined
    const request = ask(url, settings, (response) => resolve((answer = response)))
    request.once('error', (error) => {
      const isStale = request.reusedSocket && systemCode(error) === 'ECONNRESET'
      reject(isStale ? new StaleConnection() : error)
    })
    request.setTimeout(silenceMs, () => {
      const late = new Error(`no answer for ${silenceMs / 1000} s`)
      answer?.destroy(late) // else whoever reads it hears only that it was aborted
      request.destroy(late)
    })
    request.end(body)
  })
}

/** Looks a name up, and refuses it when any of its addresses is refused: only those are connected to. */
function checkedLookup(url: URL, { rules, lookup = lookUpHere }: WebQuestion): LookupFunction {
  const find = async (name: string, family: unknown) => {
    const addresses = await lookup(name)
    for (const { address } of addresses) rules.checkAddress(url, address)
    const fitting = addresses.filter(
      (one) => (family !== 4 && family !== 6) || one.family === family,
    )
    if (fitting.length === 0) throw new Error(`${name} has no address`)
    return fitting
  }
  return (name, options, answer) => {
    find(name, options.family).then(
      (found) =>
        options.all
          ? answer(null, [...found])
          : answer(null, found[0]?.address ?? '', found[0]?.family ?? 4),
      (problem: unknown) =>
        answer(problem instanceof Error ? problem : new Error(String(problem)), []),
    )
  }
}

const lookUpHere: Lookup = async (name) =>
  await new Promise((resolve, reject) => {
    lookUp(name, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })

/** Why nothing comes from an address. Passwords in it are not told. */
export function downloadFailure(url: string, reason: string, cause?: unknown): Failure {
  const shown = withoutPassword(url)
  return new Failure('DOWNLOAD_FAILED', `${shown}: ${reason}`, { details: { url: shown }, cause })
}

/** An address as it may be shown. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  if (parsed.password === '') return url
  parsed.password = '***'
  return parsed.href
}
