import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type ImageClient, openImageClient } from '../api/client.ts'
import { asFileFailure, systemCode } from '../base/failure.ts'
import type { Trust } from '../clouds/cloud.ts'
import { openKeystone } from '../clouds/keystone.ts'
import { parseOsConfig } from '../clouds/os-config.ts'
import type { Cli } from './cli.ts'

/** Where OpenStack's clients look for their files, in order. */
const PLACES = ['.', join(homedir(), '.config', 'openstack'), '/etc/openstack']

/**
 * A client of the image service of an OpenStack cloud: the one that is named, else the one that the
 * environment means. Fails with CONFIG_INVALID, KEYSTONE_AWAY, KEYSTONE_DENIED, ENDPOINT_UNKNOWN.
 */
export async function openCloudClient(
  name: string | undefined,
  variables: Readonly<Record<string, string>>,
  { context }: Cli,
): Promise<ImageClient> {
  const cloud = parseOsConfig({
    cloudsYaml: await readFirst('clouds', variables['OS_CLIENT_CONFIG_FILE']),
    secureYaml: await readFirst('secure', variables['OS_CLIENT_SECURE_FILE']),
    variables,
    cloud: name,
  })
  const trust = await readTrust(cloud)
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

async function readTrust({
  cacert,
  insecure,
}: {
  readonly cacert: string | undefined
  readonly insecure: boolean
}): Promise<Trust> {
  if (cacert === undefined) return { insecure }
  const authorities = await readFile(cacert, 'utf8').catch((error: unknown) => {
    throw asFileFailure(error, cacert)
  })
  return { authorities, insecure }
}

/** The first file of this name that is there; one that was named must be. */
async function readFirst(name: string, named: string | undefined): Promise<string | undefined> {
  const paths = PLACES.flatMap((place) =>
    ['yaml', 'yml'].map((end) => join(place, `${name}.${end}`)),
  )
  for (const path of named === undefined ? paths : [named])
    try {
      return await readFile(path, 'utf8')
    } catch (error) {
      if (named !== undefined || systemCode(error) !== 'ENOENT') throw asFileFailure(error, path)
    }
  return undefined
}
