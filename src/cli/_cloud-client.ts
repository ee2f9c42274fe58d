import { type ImageClient, openImageClient } from '../api/client.ts'
import { readOsCloud } from '../app/os-clouds.ts'
import { openKeystone } from '../clouds/keystone.ts'
import type { Cli } from './cli.ts'

/**
 * A client of the image service of an OpenStack cloud: the one that is named, else the one that the
 * environment means. Fails with CONFIG_INVALID, KEYSTONE_AWAY, KEYSTONE_DENIED, ENDPOINT_UNKNOWN.
 */
export async function openCloudClient(
  name: string | undefined,
  variables: Readonly<Record<string, string>>,
  { context }: Cli,
): Promise<ImageClient> {
  const { cloud, trust } = await readOsCloud(name, variables)
  const { authorities, insecure } = trust
  if (cloud.auth !== 'keystone') {
    const { endpoint } = cloud
    const token = cloud.auth === 'admin_token' ? cloud.token : undefined
    const options = { endpoint, token: async () => token, authorities, insecure }
    return openImageClient(options, context)
  }
  await using opened = new AsyncDisposableStack()
  const { authUrl, credentials, scope, region, interface: side } = cloud
  const keystone = opened.use(
    openKeystone({ authUrl, credentials, scope, region, interface: side, trust }, context),
  )
  const endpoint = cloud.endpoints['image'] ?? (await keystone.endpoint({ service: 'image' }))
  const client = opened.use(
    openImageClient(
      {
        endpoint,
        token: () => keystone.token(),
        forgetToken: (token) => keystone.forgetToken(token),
        authorities,
        insecure,
      },
      context,
    ),
  )
  const closing = opened.move()
  return { ...client, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
