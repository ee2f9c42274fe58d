/** Files from the web, kept by digest: what is fetched once is not fetched again. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, messageOf, systemCode } from '../base/failure.ts'
import { formatSize, GiB } from '../base/units.ts'

export interface FetchOptions {
  /** `https:` or `http:`. */
  url: string
  /** Hexadecimal. */
  sha256: string
  /** Where files are kept, each under its digest. */
  directory: string
  /** More bytes than these are not taken. Default 16 GiB. */
  maxSize?: number
  /** How long the server may be silent. Default 30 s. */
  silenceMs?: number
}

const ATTEMPTS = 2

/**
 * The path of a file with this digest: from an earlier run, or fetched. It must not be changed.
 * Fails with DOWNLOAD_FAILED, DIGEST_MISMATCH, NO_SPACE, INTERRUPTED.
 */
export async function fetchFile(options: FetchOptions, context: Context): Promise<string> {
  const { url, directory } = options
  const sha256 = options.sha256.toLowerCase()
  refuseScheme(url)
  const path = join(directory, sha256)
  try {
    await mkdir(directory, { recursive: true })
    if ((await digestOf(path)) === sha256) return path
    const partial = join(directory, `.${context.newId()}`)
    try {
      const found = await fetchWithRetry(options, partial, context)
      if (found !== sha256)
        throw new Failure('DIGEST_MISMATCH', `${url}: its SHA-256 is ${found}, wanted ${sha256}`, {
          details: { url, found, wanted: sha256 },
        })
      await rename(partial, path)
    } finally {
      await rm(partial, { force: true })
    }
    return path
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

function refuseScheme(url: string): void {
  if (!/^https?:\/\//i.test(url))
    throw new Failure('DOWNLOAD_FAILED', `${url} is not fetched; wanted https:// or http://`)
}

/** SHA-256 of a file, hexadecimal; undefined if there is none. */
async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
    return hash.digest('hex')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function fetchWithRetry(
  options: FetchOptions,
  partial: string,
  context: Context,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(options, partial, context)
    } catch (error) {
      if (context.signal.aborted)
        throw new Failure('INTERRUPTED', `fetching ${options.url} was interrupted`)
      if (error instanceof Failure || systemCode(error) === 'ENOSPC') throw error
      if (attempt < ATTEMPTS) continue
      throw new Failure('DOWNLOAD_FAILED', `${options.url}: ${reasonOf(error)}`, { cause: error })
    }
  }
}

/** Writes the body to `partial`; its digest. */
async function fetchOnce(
  options: FetchOptions,
  partial: string,
  context: Context,
): Promise<string> {
  const { url, maxSize = 16 * GiB, silenceMs = 30_000 } = options
  const silence = new AbortController()
  const giveUp = () => silence.abort(new Error(`no answer for ${silenceMs / 1000} s`))
  let timer = setTimeout(giveUp, silenceMs)
  try {
    const signal = AbortSignal.any([context.signal, silence.signal])
    const response = await fetch(url, { signal, redirect: 'follow' })
    refuseScheme(response.url)
    if (!response.ok || !response.body)
      throw new Failure('DOWNLOAD_FAILED', `${url}: the server answers ${response.status}`)
    const tooLarge = () =>
      new Failure('DOWNLOAD_FAILED', `${url} has more than ${formatSize(maxSize)}`)
    const length = response.headers.get('content-encoding')
      ? null
      : response.headers.get('content-length')
    const total = length === null ? undefined : Number(length)
    if (total !== undefined && total > maxSize) throw tooLarge()
    const hash = createHash('sha256')
    let done = 0
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        clearTimeout(timer)
        timer = setTimeout(giveUp, silenceMs)
        done += chunk.length
        hash.update(chunk)
        context.progress({ kind: 'bytes', name: url, done, ...(total && { total }) })
        next(done > maxSize ? tooLarge() : null, chunk)
      },
    })
    await pipeline(Readable.fromWeb(response.body), meter, createWriteStream(partial), { signal })
    return hash.digest('hex')
  } finally {
    clearTimeout(timer)
  }
}

/** What undici says of a connection that failed lies in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return messageOf(cause instanceof Error ? cause : error)
}
