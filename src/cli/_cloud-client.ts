import type { ClientOptions } from '../api/client.ts'
import { readOsCloud } from '../app/os-clouds.ts'
import { openKeystone } from '../clouds/keystone.ts'
import type { Cli } from './cli.ts'

/**
 * The way to the image service of an OpenStack cloud: the one that is named, else the one that the
 * environment means. Fails with CONFIG_INVALID, KEYSTONE_AWAY, KEYSTONE_DENIED, ENDPOINT_UNKNOWN.
 */
export async function openCloudAccess(
  name: string | undefined,
  variables: Readonly<Record<string, string>>,
  { context }: Cli,
): Promise<ClientOptions & AsyncDisposable> {
  const { cloud, trust } = await readOsCloud(name, variables)
  const { authorities, insecure } = trust
  if (cloud.auth !== 'keystone') {
    const { endpoint } = cloud
    const token = cloud.auth === 'admin_token' ? cloud.token : undefined
    const options = { endpoint, token: async () => token, authorities, insecure }
    return { ...options, [Symbol.asyncDispose]: async () => {} }
  }
  await using opened = new AsyncDisposableStack()
  const { authUrl, credentials, scope, region, interface: side } = cloud
  const keystone = opened.use(
    openKeystone({ authUrl, credentials, scope, region, interface: side, trust }, context),
  )
  const endpoint = cloud.endpoints['image'] ?? (await keystone.endpoint({ service: 'image' }))
  const closing = opened.move()
  return {
    endpoint,
    token: () => keystone.token(),
    forgetToken: (token) => keystone.forgetToken(token),
    authorities,
    insecure,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
