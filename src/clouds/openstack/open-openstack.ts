import type { Context } from '../../base/context.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import type { Keystone, Trust } from '../cloud.ts'
import { openCloudHttp } from '../cloud-http.ts'
import { openKeystone } from '../keystone.ts'
import type { OsCloud } from '../os-config.ts'
import type { Asking, Patience } from './_ask.ts'
import { openCompute } from './_compute.ts'
import { openImageService } from './_image.ts'
import { openNetwork } from './_network.ts'
import { openVolume } from './_volume.ts'
import { chooseMicroversion, NEWEST_KNOWN } from './_microversion.ts'
import type { OpenStack, OpenStackService, OpenStackServices } from './openstack.ts'

export interface OpenStackOptions {
  /** Whom and where to ask; see `parseOsConfig`. */
  readonly cloud: OsCloud
  readonly trust?: Trust | undefined
  /** Default: 5 more tries, the first after half a second. */
  readonly patience?: Patience | undefined
  /** How long a service may be silent. Default 60 s. */
  readonly timeoutMs?: number | undefined
}

/** Connections at a time to one service, for all that goes on with a cloud. */
const CONNECTIONS = 16

/** A client of a cloud; nothing is asked before something is wanted. One serves any number of builds. */
export function openOpenStack(
  options: OpenStackOptions,
  context: Pick<Context, 'now' | 'signal'>,
): OpenStack {
  const { cloud, trust, patience = { retries: 5, delayMs: 500 }, timeoutMs = 60_000 } = options
  const http = openCloudHttp({ trust, timeoutMs, connections: CONNECTIONS })
  const keystone = cloud.auth === 'keystone' ? openKeystoneOf(cloud, trust, context) : undefined
  const name = nameOf(cloud)

  const endpoint = async (service: OpenStackService): Promise<string> => {
    const own =
      cloud.endpoints[service] ??
      (service === 'block-storage' ? cloud.endpoints['volume'] : undefined)
    if (own !== undefined) return own
    if (keystone !== undefined) return await keystone.endpoint({ service })
    // Without Keystone the one endpoint is that of the image service.
    if (cloud.auth !== 'keystone' && service === 'image') return cloud.endpoint
    throw new Failure('ENDPOINT_UNKNOWN', `${name} has no ${service} service`)
  }
  const askingOf = (service: OpenStackService, signal: AbortSignal): Asking => ({
    http,
    name: `the ${service} service of ${name}`,
    endpoint: () => endpoint(service),
    token: async () =>
      keystone ? await keystone.token() : cloud.auth === 'admin_token' ? cloud.token : undefined,
    forgetToken: (token) => keystone?.forgetToken(token),
    signal,
    patience,
  })

  let version: Promise<string> | undefined
  const microversion = (asking: Asking) =>
    (version ??= chooseMicroversion(asking, NEWEST_KNOWN).catch((error: unknown) => {
      version = undefined
      throw error
    }))
  const during = (signal: AbortSignal): OpenStackServices => ({
    name,
    compute: openCompute(askingOf('compute', signal), microversion),
    image: openImageService(askingOf('image', signal)),
    network: openNetwork(askingOf('network', signal)),
    volume: openVolume(askingOf('block-storage', signal)),
    has: async (service) => {
      try {
        await endpoint(service)
        return true
      } catch (error) {
        if (isFailure(error, 'ENDPOINT_UNKNOWN')) return false
        throw error
      }
    },
    projectId: async () => (await keystone?.facts())?.project?.id,
  })
  return {
    ...during(context.signal),
    during: (signal) => during(AbortSignal.any([context.signal, signal])),
    [Symbol.asyncDispose]: async () => {
      await keystone?.[Symbol.asyncDispose]()
      await http[Symbol.asyncDispose]()
    },
  }
}

function nameOf(cloud: OsCloud): string {
  if (cloud.name !== undefined) return `cloud ${cloud.name}`
  return cloud.auth === 'keystone' ? cloud.authUrl : cloud.endpoint
}

function openKeystoneOf(
  cloud: OsCloud & { readonly auth: 'keystone' },
  trust: Trust | undefined,
  context: Pick<Context, 'now' | 'signal'>,
): Keystone {
  const { authUrl, credentials, scope, region, interface: side } = cloud
  return openKeystone({ authUrl, credentials, scope, region, interface: side, trust }, context)
}
