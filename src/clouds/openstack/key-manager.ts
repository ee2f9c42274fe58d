/** The key manager of an OpenStack cloud: secrets, certificates among them. Source: Barbican's API v1. */
import type { Context } from '../../base/context.ts'
import { isFailure, messageOf, Failure } from '../../base/failure.ts'
import type { Keystone } from '../cloud.ts'
import { openCloudHttp, readBody } from '../cloud-http.ts'
import { ask, askFor, type Asking, askToDelete, type Patience } from './_ask.ts'

export interface KeyManager extends AsyncDisposable {
  /** What a secret holds, at most 64 KiB; undefined: there is none. Fails as `OpenStack`, and with ENDPOINT_UNKNOWN. */
  readSecret(id: string): Promise<Buffer | undefined>
  /** False: it was gone already. Fails as `OpenStack`, and with ENDPOINT_UNKNOWN. */
  deleteSecret(id: string): Promise<boolean>
}

const MAX_SECRET = 64 * 1024
/** Somebody waits for the answer. */
const PATIENCE: Patience = { retries: 2, delayMs: 250 }
const TIMEOUT_MS = 10_000

/** As the user that `keystone` speaks for; it stays the caller's. */
export function openKeyManager(
  keystone: Pick<Keystone, 'token' | 'forgetToken' | 'endpoint'>,
  { signal }: Pick<Context, 'signal'>,
): KeyManager {
  const http = openCloudHttp({ timeoutMs: TIMEOUT_MS })
  const asking: Asking = {
    http,
    name: 'the key manager',
    endpoint: async () => {
      const url = await keystone.endpoint({ service: 'key-manager' })
      return url.endsWith('/v1') ? url : `${url}/v1`
    },
    token: () => keystone.token(),
    forgetToken: (token) => keystone.forgetToken(token),
    signal,
    patience: PATIENCE,
  }
  return {
    readSecret: async (id) => {
      const path = `/secrets/${encodeURIComponent(id)}`
      try {
        const { json } = await ask(asking, { path })
        const accept = typeOf(json)
        const answer = await askFor(asking, { path: `${path}/payload`, headers: { accept } })
        return await readBody(answer, MAX_SECRET)
      } catch (error) {
        if (isFailure(error, 'CLOUD_NOT_FOUND')) return undefined
        if (isFailure(error)) throw error
        throw new Failure('CLOUD_FAILED', `the key manager: secret ${id}: ${messageOf(error)}`, {
          cause: error,
        })
      }
    },
    deleteSecret: async (id) => await askToDelete(asking, `/secrets/${encodeURIComponent(id)}`),
    [Symbol.asyncDispose]: async () => await http[Symbol.asyncDispose](),
  }
}

/** In which type a secret can be had. */
function typeOf(secret: unknown): string {
  const { content_types: types } = (secret ?? {}) as {
    content_types?: { default?: unknown } | null
  }
  const type = types?.default
  return typeof type === 'string' && type.length < 256 ? type : 'application/octet-stream'
}
