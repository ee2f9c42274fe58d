/**
 * Content from the web as it comes, kept nowhere. Addresses that strangers name are asked for with
 * care: only on the public internet, which is checked where the connection is made (so that a name
 * cannot mean something else a moment later), and again at every redirect.
 */
import type { Context } from '../base/context.ts'
import { Failure, isFailure, messageOf } from '../base/failure.ts'
import { formatSize, TiB } from '../base/units.ts'
import { publicWeb } from './public-web.ts'
import { askWeb, downloadFailure, type WebRules, withoutPassword } from './web-request.ts'

export interface FetchStreamOptions {
  /** Where it may be. Default: on the public internet. */
  readonly rules?: WebRules | undefined
  /** More bytes than these are not taken. Default 1 TiB. */
  readonly maxSize?: number | undefined
  /** How long the server may be silent. Default 30 s. */
  readonly silenceMs?: number | undefined
}

const PUBLIC = publicWeb([], 'If that is meant, say --allow-private.')

/**
 * The body of what stands at an `http:` or `https:` address. It is asked for when the first chunk is.
 * Leaving the loop over it ends the connection. Fails with DOWNLOAD_FAILED, INTERRUPTED.
 */
export async function* fetchStream(
  url: string,
  options: FetchStreamOptions,
  context: Context,
): AsyncGenerator<Uint8Array> {
  const { maxSize = 1 * TiB, rules = PUBLIC, silenceMs = 30_000 } = options
  const shown = withoutPassword(url)
  let size = 0
  try {
    const { signal } = context
    const { response } = await askWeb(url, { rules, signal, silenceMs })
    if (response.statusCode !== 200) {
      response.destroy()
      throw downloadFailure(url, `the server answers ${response.statusCode}`)
    }
    const total = Number(response.headers['content-length'] ?? Number.NaN)
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxSize) throw downloadFailure(url, `it has more than ${formatSize(maxSize)}`)
      context.progress({ kind: 'bytes', name: shown, done: size, ...(total > 0 && { total }) })
      yield chunk
    }
    if (!response.complete) throw downloadFailure(url, 'the connection ended before the content')
  } catch (error) {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', `fetching ${shown} was interrupted`, { cause: error })
    throw isFailure(error) ? error : downloadFailure(url, messageOf(error), error)
  }
}
