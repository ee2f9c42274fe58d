/** Clients of Azure's storage and resource manager, loaded when something is pushed, and what they say as Failures. */
import type { ComputeManagementClient } from '@azure/arm-compute'
import type { TokenCredential } from '@azure/identity'
import type { ContainerClient } from '@azure/storage-blob'
import { rootCertificates } from 'node:tls'
import { Failure, type FailureCode, isFailure } from '../../base/failure.ts'
import type { Provider } from '../cloud-target.ts'
import { readAuthorities } from './_authorities.ts'
import type { AzureCredentials, AzureProviderOptions } from './_azure-schemas.ts'

export type AzureProvider = Provider<AzureProviderOptions, AzureCredentials>

type Settings = { readonly tlsOptions?: { readonly ca: string[] } }

/** The container that VHDs are written to. Fails with CONFIG_INVALID when nothing opens it. */
export async function openContainer(provider: AzureProvider): Promise<ContainerClient> {
  const library = await import('@azure/storage-blob')
  const { storage_account, container, blob_endpoint } = provider.options
  const { account_key, sas } = provider.credentials
  const base = blob_endpoint ?? `https://${storage_account}.blob.core.windows.net`
  const url = `${base.replace(/\/+$/, '')}/${container}`
  if (account_key !== undefined) {
    const key = new library.StorageSharedKeyCredential(storage_account, account_key)
    return new library.ContainerClient(url, key)
  }
  if (sas !== undefined)
    return new library.ContainerClient(
      `${url}?${sas.replace(/^\?/, '')}`,
      new library.AnonymousCredential(),
    )
  const credential = await openCredential(provider, await settingsOf(provider))
  return new library.ContainerClient(url, credential)
}

/** The resource manager. Fails with CONFIG_INVALID when provider or credentials lack what it needs. */
export async function openCompute(provider: AzureProvider): Promise<ComputeManagementClient> {
  const { ComputeManagementClient: Client } = await import('@azure/arm-compute')
  const { arm_endpoint: endpoint } = provider.options
  const settings = await settingsOf(provider)
  const credential = await openCredential(provider, settings)
  return new Client(credential, need(provider, 'subscription'), {
    ...settings,
    ...(endpoint !== undefined && { endpoint }),
  })
}

async function openCredential(
  { name, options, credentials }: AzureProvider,
  settings: Settings,
): Promise<TokenCredential> {
  const { tenant, client_id, client_secret } = credentials
  if (tenant === undefined || client_id === undefined || client_secret === undefined)
    throw new Failure(
      'CONFIG_INVALID',
      `${name}: wanted tenant, client_id and client_secret of an application`,
    )
  const { ClientSecretCredential } = await import('@azure/identity')
  const { authority } = options
  return new ClientSecretCredential(tenant, client_id, client_secret, {
    ...settings,
    ...(authority !== undefined && { authorityHost: authority, disableInstanceDiscovery: true }),
  })
}

/** An option that this push cannot do without. Fails with CONFIG_INVALID. */
export function need(
  { name, options }: AzureProvider,
  key: 'subscription' | 'resource_group' | 'location' | 'gallery' | 'definition',
): string {
  const value = options[key]
  if (value === undefined) throw new Failure('CONFIG_INVALID', `${name}: ${key} is missing`)
  return value
}

async function settingsOf(provider: AzureProvider): Promise<Settings> {
  const authorities = await readAuthorities(provider)
  return authorities === undefined ? {} : { tlsOptions: { ca: [...rootCertificates, authorities] } }
}

const BY_STATUS: Readonly<Record<number, FailureCode>> = {
  401: 'CLOUD_DENIED',
  403: 'CLOUD_DENIED',
  404: 'CLOUD_NOT_FOUND',
  408: 'CLOUD_AWAY',
  429: 'CLOUD_AWAY',
  507: 'CLOUD_FULL',
}

/** How the library of Entra ID tells that it gives no token. */
const NO_TOKEN = /^(AuthenticationError|CredentialUnavailableError)|invalid_client|AADSTS7/

/** What Azure refuses, or its libraries fail with. Their messages name addresses, whose signatures are left out. */
function azureFailure(error: unknown, what: string): unknown {
  if (isFailure(error) || !(error instanceof Error)) return error
  if (error.name === 'AbortError') return new Failure('INTERRUPTED', `${what}: interrupted`)
  const { statusCode: status = 0, code } = error as Answered
  const isQuota = /quota|limit/i.test(code ?? '')
  const isAway = status === 0 ? error.name === 'RestError' : status >= 500
  const known = NO_TOKEN.test(`${error.name} ${error.message}`)
    ? 'CLOUD_DENIED'
    : (BY_STATUS[status] ?? (isAway ? 'CLOUD_AWAY' : 'CLOUD_FAILED'))
  const message = error.message.split('\n')[0]?.replaceAll(/\bsig=[^&\s"]+/g, 'sig=***')
  return new Failure(isQuota ? 'CLOUD_FULL' : known, `${what}: ${message?.slice(0, 500)}`, {
    details: { status, azure: code },
  })
}

interface Answered {
  readonly statusCode?: number
  readonly code?: string
}

/** What `work` gives; what goes wrong in it is a Failure that says at what. */
export async function asking<Answer>(what: string, work: PromiseLike<Answer>): Promise<Answer> {
  try {
    return await work
  } catch (error) {
    throw azureFailure(error, what)
  }
}

/** Removes something; that it is gone already is success. */
export async function removing(what: string, work: PromiseLike<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    const failure = azureFailure(error, what)
    if (!isFailure(failure, 'CLOUD_NOT_FOUND')) throw failure
  }
}
