/**
 * What is asked of Google, as a service account, which signs its own tokens.
 * Source: Google, AIP-4111, "Self-signed JWT".
 */
import { Failure } from '../../base/failure.ts'
import type { Rest } from '../../clouds/ask-rest.ts'
import { openCloudHttp } from '../../clouds/cloud-http.ts'
import type { Provider } from '../cloud-target.ts'
import { readAuthorities } from './_authorities.ts'
import type { GceCredentials, GceProviderOptions } from './_gce-schemas.ts'

export type GceProvider = Provider<GceProviderOptions, GceCredentials>

export interface Google extends AsyncDisposable {
  readonly rest: Rest
  /** Without a slash at the end. */
  readonly storage: string
  /** Of the project. */
  readonly compute: string
  readonly project: string
}

const SCOPES = [
  'https://www.googleapis.com/auth/compute',
  'https://www.googleapis.com/auth/devstorage.read_write',
]

/** Fails with CONFIG_INVALID when nobody says which project. */
export async function openGoogle(provider: GceProvider): Promise<Google> {
  const { name, options, credentials } = provider
  const { JWT } = await import('google-auth-library')
  const { storage_endpoint = 'https://storage.googleapis.com' } = options
  const { compute_endpoint = 'https://compute.googleapis.com' } = options
  const project = options.project ?? credentials.project_id
  if (project === undefined) throw new Failure('CONFIG_INVALID', `${name}: project is missing`)
  const authorities = await readAuthorities(provider)
  const http = openCloudHttp({
    trust: authorities === undefined ? {} : { authorities },
    timeoutMs: 60_000,
  })
  const { client_email: email, private_key: key } = credentials
  const signer = new JWT({ email, key, scopes: SCOPES })
  signer.useJWTAccessWithScope = true
  const authorization = async () => {
    try {
      return Object.fromEntries(await signer.getRequestHeaders())
    } catch {
      // What the library says of a key may quote it.
      throw new Failure('CLOUD_DENIED', `${name}: nothing can be signed with the private key`)
    }
  }
  return {
    rest: { http, name: 'Google', authorization },
    storage: storage_endpoint.replace(/\/+$/, ''),
    compute: `${compute_endpoint.replace(/\/+$/, '')}/compute/v1/projects/${encodeURIComponent(project)}`,
    project,
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  }
}
