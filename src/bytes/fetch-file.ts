/** Files from the web, kept by digest: what is fetched once is not fetched again. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { formatSize, GiB } from '../base/units.ts'
import { openDownload } from './download.ts'
import { anyWeb } from './public-web.ts'
import { downloadFailure, type WebRules } from './web-request.ts'

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
  /** Where it may be. Default: anywhere. */
  rules?: WebRules
}

const RETRIES = 1

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
      const found = await fetchTo(partial, options, context)
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

/** Writes the content to `partial`; its digest. */
async function fetchTo(
  partial: string,
  { url, maxSize = 16 * GiB, silenceMs, rules = anyWeb }: FetchOptions,
  context: Context,
): Promise<string> {
  const tuning = { retries: RETRIES, ...(silenceMs !== undefined && { silenceMs }) }
  const coming = await openDownload(url, { rules, ...tuning }, context)
  const total = coming.size
  const tooLarge = () => downloadFailure(url, `it has more than ${formatSize(maxSize)}`)
  if ((total ?? 0) > maxSize) {
    coming.cancel()
    throw tooLarge()
  }
  const hash = createHash('sha256')
  let done = 0
  const meter = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      done += chunk.length
      if (done > maxSize) throw tooLarge()
      hash.update(chunk)
      context.progress({ kind: 'bytes', name: url, done, ...(total && { total }) })
      yield chunk
    }
  }
  await pipeline(coming.stream, meter, createWriteStream(partial))
  return hash.digest('hex')
}
