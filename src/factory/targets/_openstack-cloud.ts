import { Failure } from '../../base/failure.ts'
import type { Context } from '../../base/context.ts'
import { parseOsConfig } from '../../clouds/os-config.ts'
import { openOpenStack } from '../../clouds/openstack/open-openstack.ts'
import type { OpenStack } from '../../clouds/openstack/openstack.ts'
import type { Provider } from '../cloud-target.ts'
import type { OpenstackCredentials, OpenstackProviderOptions } from './_openstack-schemas.ts'

export type OpenstackProvider = Provider<OpenstackProviderOptions, OpenstackCredentials>

/** Opens a cloud of this host's `clouds.yaml` by its name. */
export type OpenNamedCloud = (
  name: string,
  context: Pick<Context, 'now' | 'signal'>,
) => Promise<OpenStack>

/**
 * The cloud of a provider: by the name that this host knows it by, or by what the provider and its credentials say. Fails
 * with CONFIG_INVALID: something is missing, or an order would have this host's own account.
 */
export async function openProviderCloud(
  provider: OpenstackProvider,
  openNamed: OpenNamedCloud | undefined,
  context: Pick<Context, 'now' | 'signal'>,
): Promise<OpenStack> {
  const { cloud } = provider.options
  if (cloud === undefined) return openOpenStack(toCloud(provider), context)
  if (provider.isConfigured !== true)
    throw new Failure(
      'CONFIG_INVALID',
      `${provider.name}: only a provider of the configuration may name a cloud of clouds.yaml`,
      { fix: 'Give auth_url and credentials, or name a configured provider.' },
    )
  if (openNamed === undefined)
    throw new Failure('CONFIG_INVALID', `${provider.name}: clouds.yaml is not read here`)
  return await openNamed(cloud, context)
}

/** The same words as in clouds.yaml, which are read as those are. */
function toCloud({ name, options, credentials }: OpenstackProvider) {
  const { tenant, auth_url: given = options.auth_url, ...others } = credentials
  const auth: Record<string, string> = {
    ...others,
    ...(tenant !== undefined && { tenant_name: tenant }),
    // Clouds that still tell of version 2 answer version 3 beside it.
    ...(given !== undefined && { auth_url: given.replace(/\/v2\.0\/*$/, '/v3') }),
    ...(!hasDomain(credentials) && { default_domain_id: 'default' }),
  }
  const image = imageEndpoint(options)
  if (given === undefined && image !== undefined) auth['endpoint'] = image
  const beside = {
    region_name: options.region,
    interface: options.interface,
    insecure: options.insecure === true ? 'true' : undefined,
    image_endpoint_override: image,
  }
  const variables = Object.fromEntries(
    Object.entries({ ...auth, ...beside }).map(([key, value]) => [
      `OS_${key.toUpperCase()}`,
      value,
    ]),
  )
  try {
    const cloud = parseOsConfig({ variables })
    return { cloud, trust: { insecure: cloud.insecure } }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure('CONFIG_INVALID', `provider ${name} does not say how to reach its cloud`, {
      cause: error,
      fix: 'It needs auth_url with credentials, or image_endpoint with a token.',
    })
  }
}

function hasDomain(credentials: OpenstackCredentials): boolean {
  return Object.keys(credentials).some((key) => key.includes('domain'))
}

function imageEndpoint(options: OpenstackProviderOptions): string | undefined {
  const { image_endpoint, 'glance-host': host, 'glance-port': port = 9292 } = options
  return image_endpoint ?? (host === undefined ? undefined : `http://${host}:${port}`)
}
