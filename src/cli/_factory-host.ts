import type { FactoryHost } from '../app/builtin-factory.ts'
import { openstackFromEnvironment, proxiesFromEnvironment } from '../app/config.ts'
import { guestUplink } from '../app/guest-uplink.ts'
import type { Cli } from './cli.ts'
import { readVersion } from './_version.ts'

/** What builds may know of this host and its environment. */
export async function readFactoryHost({ configuration }: Cli): Promise<FactoryHost> {
  return {
    cacheDir: configuration.config.cache_dir,
    proxies: proxiesFromEnvironment(),
    openstack: openstackFromEnvironment(),
    uplink: guestUplink(configuration.config, proxiesFromEnvironment()),
    version: await readVersion(),
  }
}
