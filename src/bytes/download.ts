/**
 * Content from the web, whole, over connections that break. What came is never asked for twice where the server
 * lets us go on, and content that changes between two connections is found out, never mixed.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type { IncomingMessage } from 'node:http'
import type { Context } from '../base/context.ts'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { KiB } from '../base/units.ts'
import {
  askWeb,
  downloadFailure,
  type Lookup,
  type WebRules,
  withoutPassword,
} from './web-request.ts'

export interface DownloadOptions {
  readonly rules: WebRules
  /** Connections after the first that may bring nothing, one after the other, before it is given up. Default 5. */
  readonly retries?: number
  /** Pause before the first new connection; each one doubles it. Default 1 s. */
  readonly pauseMs?: number
  /** How long the server may be silent. Default 30 s. */
  readonly silenceMs?: number
  /** Sent with every question: a token. */
  readonly headers?: Readonly<Record<string, string>>
  readonly lookup?: Lookup | undefined
}

/** Content that has begun to come. */
export interface Download {
  /** Bytes, if the server says. */
  readonly size: number | undefined
  /** What names this content there, for who wants to ask later whether it is the same still. */
  readonly names: { readonly etag?: string; readonly changed?: string }
  /** Once through. Leaving the loop ends the connection. */
  readonly stream: AsyncIterable<Uint8Array>
  /** Ends the connection if nobody will read. */
  cancel(): void
}

/** Answers after which the same question may be answered otherwise. */
const PASSING: ReadonlySet<number | undefined> = new Set([408, 425, 429, 500, 502, 503, 504])
const LONGEST_PAUSE_MS = 60_000
/** A connection that brought this many bytes was not in vain. */
const PROGRESS = 64 * KiB

/**
 * Asks for what stands at an `http:` or `https:` address. Resolves when the first answer is there.
 *
 * A connection that breaks or is silent is made anew, and goes on where the last one ended (`Range` with
 * `If-Range`). A server that cannot do that sends all again: what came before is compared and left out.
 * Fewer bytes than were announced are never taken for all.
 *
 * Opening and reading fail with DOWNLOAD_FAILED, INTERRUPTED, and with what the rules throw.
 */
export async function openDownload(
  url: string,
  options: DownloadOptions,
  context: Context,
): Promise<Download> {
  const download = new ResumedDownload(url, options, context)
  const first = await download.connect()
  return {
    size: download.total,
    names: namesOf(first),
    stream: download.read(first),
    cancel: () => void first.destroy(),
  }
}

class ResumedDownload {
  readonly #url: string
  readonly #options: DownloadOptions
  readonly #context: Context
  /** Bytes that were handed out, and their sum. */
  #done = 0
  #sum = 0
  /** Names this very content: a strong ETag, or when it was last changed. */
  #validator: string | undefined
  /** Connections that brought nothing, since one did. */
  #vain = 0
  total: number | undefined

  constructor(url: string, options: DownloadOptions, context: Context) {
    this.#url = url
    this.#options = options
    this.#context = context
  }

  async *read(first: IncomingMessage): AsyncGenerator<Uint8Array> {
    let response = first
    try {
      for (;;) {
        try {
          for await (const chunk of this.#fresh(response)) yield chunk
          return
        } catch (error) {
          await this.#pauseAfter(error)
          response = await this.connect()
        }
      }
    } finally {
      response.destroy()
    }
  }

  /** Asks, however often, until the rest of the content is on its way. */
  async connect(): Promise<IncomingMessage> {
    for (;;) {
      try {
        return await this.#ask()
      } catch (error) {
        await this.#pauseAfter(error)
      }
    }
  }

  async #ask(): Promise<IncomingMessage> {
    const { rules, silenceMs = 30_000, headers = {}, lookup } = this.#options
    const { signal } = this.#context
    const goesOn = this.#done > 0 && this.#validator !== undefined
    const range = { range: `bytes=${this.#done}-`, 'if-range': this.#validator ?? '' }
    const asked = { ...headers, ...(goesOn && range) }
    const question = { rules, silenceMs, signal, headers: asked, lookup }
    const { response } = await askWeb(this.#url, question)
    const { statusCode } = response
    if (statusCode === 200 || (statusCode === 206 && goesOn)) {
      this.#learn(response)
      return response
    }
    response.destroy()
    const answer = `the server answers ${statusCode}`
    throw PASSING.has(statusCode) ? new Error(answer) : downloadFailure(this.#url, answer)
  }

  /** What the first answer says of the content; later ones must not say anything else. */
  #learn(response: IncomingMessage): void {
    const { headers, statusCode } = response
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '')
    const told = Number(statusCode === 206 ? range?.[2] : headers['content-length'])
    const total = Number.isNaN(told) ? undefined : told
    const isFirst = this.#done === 0
    if (isFirst) this.total = total
    const isOther = !isFirst && total !== undefined && total !== this.total
    const isElsewhere = statusCode === 206 && Number(range?.[1]) !== this.#done
    const isNew = statusCode === 206 && validatorOf(response) !== this.#validator
    if (isFirst) this.#validator = validatorOf(response)
    if (!isOther && !isElsewhere && (isFirst || !isNew)) return
    response.destroy()
    throw this.#changed()
  }

  /** What of an answer was not handed out before. Ends where the content does. */
  async *#fresh(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    let repeated = response.statusCode === 206 ? 0 : this.#done
    let sum = 0
    let fresh = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const known = chunk.subarray(0, repeated)
      const rest = known.length === 0 ? chunk : chunk.subarray(known.length)
      if (known.length > 0) {
        sum = crc32(known, sum)
        repeated -= known.length
        if (repeated === 0 && sum !== this.#sum) throw this.#changed()
      }
      if (rest.length === 0) continue
      this.#done += rest.length
      this.#sum = crc32(rest, this.#sum)
      fresh += rest.length
      if (fresh >= PROGRESS) this.#vain = 0
      if (this.#done > (this.total ?? Infinity)) throw this.#changed()
      yield rest
    }
    if (!response.complete) throw new Error('the connection ended before the content')
    if (this.#done < (this.total ?? 0) || repeated > 0)
      throw new Error(`only ${this.#done} bytes came of ${this.total}`)
  }

  /** Throws what is final; waits after what may pass. */
  async #pauseAfter(error: unknown): Promise<void> {
    const { retries = 5, pauseMs = 1000 } = this.#options
    const { signal, log } = this.#context
    const url = withoutPassword(this.#url)
    const interrupted = (cause: unknown) =>
      new Failure('INTERRUPTED', `fetching ${url} was interrupted`, { cause })
    if (signal.aborted) throw interrupted(error)
    if (isFailure(error)) throw error
    this.#vain += 1
    if (this.#vain > retries) throw downloadFailure(url, messageOf(error), error)
    log.info('download.resumed', { url, done: this.#done, reason: messageOf(error) })
    const pause = Math.min(pauseMs * 2 ** (this.#vain - 1), LONGEST_PAUSE_MS)
    try {
      await wait(pause, undefined, { signal })
    } catch (cause) {
      throw interrupted(cause)
    }
  }

  #changed(): Failure {
    return downloadFailure(this.#url, 'the content changed while it was downloaded')
  }
}

function namesOf({ headers }: IncomingMessage): Download['names'] {
  const { etag } = headers
  const changed = headers['last-modified']
  return { ...(etag !== undefined && { etag }), ...(changed !== undefined && { changed }) }
}

/**
 * What names the content of an answer, and only it: a strong ETag, or a time of change that is past.
 * Source: RFC 9110, 8.8 and 13.1.5.
 */
function validatorOf({ headers }: IncomingMessage): string | undefined {
  const { etag, date } = headers
  const changed = headers['last-modified']
  if (etag !== undefined) return etag.startsWith('"') ? etag : undefined
  if (changed === undefined || date === undefined) return undefined
  return Date.parse(date) - Date.parse(changed) >= 1000 ? changed : undefined
}
