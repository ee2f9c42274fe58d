import { fenceUplinks } from '../remotes/fenced-uplink.ts'
import { hostUplink, type OpenUplink } from '../remotes/uplink.ts'
import type { Config } from './config.ts'

/** How guests get to the network, as the configuration says. `proxies`: those of this host's environment. */
export function guestUplink(
  { guest_network: reach, factory }: Pick<Config, 'guest_network' | 'factory'>,
  proxies: Readonly<Record<string, string>>,
): OpenUplink {
  if (reach === 'host') return hostUplink
  return fenceUplinks(async () => [
    ...factory.private_hosts,
    ...placesOf(proxies),
    ...(await readHostMirrors()),
  ])
}

/** Mirrors and proxies of this host's apt: guests are made of the same packages. */
async function readHostMirrors(): Promise<string[]> {
  const [{ readHostApt }, { readAptOptions, toProxies }] = await Promise.all([
    import('../guests/apt-sources.ts'),
    import('../guests/apt-options.ts'),
  ])
  const { sources } = await readHostApt()
  return [...sources.flatMap(({ uris }) => uris), ...toProxies(await readAptOptions())]
}

/** Addresses of proxies; without a scheme they speak HTTP, as curl has it. */
function placesOf(proxies: Readonly<Record<string, string>>): string[] {
  return Object.entries(proxies)
    .filter(([name]) => name.toLowerCase() !== 'no_proxy')
    .map(([, value]) => (value.includes('://') ? value : `http://${value}`))
}
