/** What both ways into vSphere share: the connection, and a disk that streams while somebody is told how far it is. */
import { Failure, messageOf } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import {
  type CloudHttp,
  isConnectionError,
  openCloudHttp,
  readBody,
} from '../../clouds/cloud-http.ts'
import type { Source } from '../../bytes/source.ts'
import type { Provider } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { readAuthorities } from './_authorities.ts'
import type { VsphereCredentials, VsphereProviderOptions } from './_vsphere-schemas.ts'

export type VsphereProvider = Provider<VsphereProviderOptions, VsphereCredentials>

const CHUNK = MiB
/** While a host writes the last of a disk it may be silent. */
const SILENCE_MS = 300_000

export async function openConnection(provider: VsphereProvider): Promise<CloudHttp> {
  const { insecure = false } = provider.options
  const authorities = await readAuthorities(provider)
  const trust = { insecure, ...(authorities !== undefined && { authorities }) }
  return openCloudHttp({ trust, timeoutMs: SILENCE_MS })
}

export interface Upload {
  readonly method: 'PUT' | 'POST'
  readonly url: string
  readonly mediaType: string
  readonly headers?: Readonly<Record<string, string>>
  readonly content: Source
}

/** Sends it from its first byte to its last; `tell` hears each part that was taken. */
export async function upload(
  http: CloudHttp,
  { method, url, mediaType, headers = {}, content }: Upload,
  { signal, tell }: Pick<PhaseScene, 'signal' | 'tell'>,
): Promise<void> {
  const what = `vSphere: ${method} ${new URL(url).pathname}`
  try {
    const response = await http.send({
      method,
      url,
      headers: { 'content-type': mediaType, ...headers },
      stream: { size: content.size, content: chunksOf(content, tell) },
      signal,
    })
    const { statusCode: status = 0 } = response
    const text = (await readBody(response)).toString()
    if (status >= 300)
      throw new Failure('CLOUD_FAILED', `${what}: ${status} ${text.slice(0, 200)}`.trimEnd())
  } catch (cause) {
    if (signal.aborted) throw new Failure('INTERRUPTED', `${what}: interrupted`)
    if (!isConnectionError(cause)) throw cause
    throw new Failure('CLOUD_AWAY', `${what}: ${messageOf(cause)}`, { cause })
  }
}

/** Leases and sessions of which nothing is heard for five minutes end. */
const KEEP_MS = 60_000

/**
 * What `work` gives; meanwhile `keep` is called again and again, however fast or slow the work gets on. That it fails is
 * told by the work, if it matters.
 */
export async function keepingAlive<T>(
  keep: () => Promise<unknown>,
  work: () => Promise<T>,
  everyMs = KEEP_MS,
): Promise<T> {
  let isAsking = false
  const ask = async () => {
    if (isAsking) return
    isAsking = true
    await keep().catch(() => {})
    isAsking = false
  }
  const timer = setInterval(() => void ask(), everyMs)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}

async function* chunksOf(
  content: Source,
  tell: (fraction: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.size; at += CHUNK) {
    yield await content.read(at, Math.min(CHUNK, content.size - at))
    tell(Math.min((at + CHUNK) / content.size, 1))
  }
}
