import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, systemCode } from '../base/failure.ts'
import type { Trust } from '../clouds/cloud.ts'
import { type OsCloud, parseOsConfig } from '../clouds/os-config.ts'
import { openOpenStack } from '../clouds/openstack/open-openstack.ts'
import type { OpenStack } from '../clouds/openstack/openstack.ts'

/** Where OpenStack's clients look for their files, in order. */
const PLACES = ['.', join(homedir(), '.config', 'openstack'), '/etc/openstack']

/**
 * How to reach the OpenStack cloud of a name, else the one that the variables mean, from `clouds.yaml`, `secure.yaml` and
 * `OS_…`, and whose certificates are believed. Fails with CONFIG_INVALID, FILE_NOT_FOUND, FILE_UNREADABLE.
 */
export async function readOsCloud(
  name: string | undefined,
  variables: Readonly<Record<string, string>>,
): Promise<{ cloud: OsCloud; trust: Trust }> {
  const cloud = parseOsConfig({
    cloudsYaml: await readFirst('clouds', variables['OS_CLIENT_CONFIG_FILE']),
    secureYaml: await readFirst('secure', variables['OS_CLIENT_SECURE_FILE']),
    variables,
    cloud: name,
  })
  return { cloud, trust: await readTrust(cloud) }
}

/**
 * A client of that cloud: of images, servers, networks and volumes. Fails as `readOsCloud`; nothing is asked of the cloud
 * before something is wanted of it.
 */
export async function openCloudByName(
  name: string | undefined,
  variables: Readonly<Record<string, string>>,
  context: Pick<Context, 'now' | 'signal'>,
): Promise<OpenStack> {
  return openOpenStack(await readOsCloud(name, variables), context)
}

async function readTrust({ cacert, insecure }: OsCloud): Promise<Trust> {
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
