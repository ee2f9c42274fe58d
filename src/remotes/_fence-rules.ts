/**
 * What may be reached from behind a fence, as rules of the kernel's routing in the guest's own network namespace. A rule is
 * found before any route, knows protocols and ports, and needs no firewall.
 */
import { lookup } from 'node:dns/promises'
import { isPublicAddress, PRIVATE_NETWORKS } from '../bytes/public-address.ts'

/** The network between the namespace and the program that carries its packets. Source: slirp4netns(1). */
export const FENCE = {
  device: 'outside',
  network: '198.18.0.0/24',
  own: '198.18.0.100',
  gateway: '198.18.0.2',
  resolver: '198.18.0.3',
} as const

/** A place that may be reached though it is not on the public internet. */
export interface Endpoint {
  /** IPv4. */
  readonly address: string
  /** Of TCP; all when left out. */
  readonly port?: number
}

/** A table of routes that has only the way out, for what may be reached. */
const WAY_OUT = 100

/**
 * Input of `ip -batch`. `ownAddresses` are this host's own: services that listen on them may trust who comes from here.
 * Places of `allowed` are found first, loopback addresses too: of this host, for behind the fence they lead out.
 * Source: ip-rule(8).
 */
export function toFenceRules(
  allowed: readonly Endpoint[],
  ownAddresses: readonly string[],
): string[] {
  const { device, gateway, own, resolver } = FENCE
  return [
    'link set lo up',
    `route add default via ${gateway} dev ${device} src ${own} table ${WAY_OUT}`,
    ...allowed.map(
      ({ address, port }) =>
        `rule add pref 100 to ${address} ipproto tcp${port === undefined ? '' : ` dport ${port}`} lookup ${WAY_OUT}`,
    ),
    ...['udp', 'tcp'].map(
      (protocol) => `rule add pref 100 to ${resolver} ipproto ${protocol} dport 53 lookup main`,
    ),
    // The rule for local addresses is the first one in a new namespace.
    'rule add pref 200 lookup local',
    'rule del pref 0',
    ...[...PRIVATE_NETWORKS.map((network) => network.join('/')), ...ownAddresses].map(
      (network) => `rule add pref 300 to ${network} unreachable`,
    ),
  ]
}

/** This host's resolv.conf as it is behind the fence: the same names, asked of one server. */
export function toFenceResolver(resolvConf: string): string {
  const kept = resolvConf.split('\n').filter((line) => /^\s*(?:search|domain|options)\s/.test(line))
  return [`nameserver ${FENCE.resolver}`, ...kept, ''].join('\n')
}

/**
 * Where the places are that web addresses (`http://proxy:3142`) and hosts (a name or number: all of its ports) name, if
 * the public internet is not. What has no address, or only one of IPv6, is passed over.
 */
export async function findEndpoints(
  places: readonly string[],
  ownAddresses: readonly string[],
): Promise<Endpoint[]> {
  const isCovered = (address: string) => isPublicAddress(address) && !ownAddresses.includes(address)
  const found = await Promise.all(
    [...new Set(places)].map(async (place) => {
      const { host, port } = parsePlace(place)
      const addresses = await lookup(host, { family: 4, all: true }).catch(() => [])
      return addresses
        .filter(({ address }) => !isCovered(address))
        .map(({ address }): Endpoint => ({ address, ...(port !== undefined && { port }) }))
    }),
  )
  const byName = new Map(found.flat().map((one) => [JSON.stringify(one), one]))
  return [...byName.values()]
}

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'ftp:': 21 }

function parsePlace(place: string): { host: string; port?: number } {
  if (!/^[a-z0-9+.-]+:\/\//i.test(place)) return { host: place }
  const url = URL.parse(place)
  if (url === null) return { host: '' }
  const port = url.port === '' ? PORTS[url.protocol] : Number(url.port)
  return { host: url.hostname, ...(port !== undefined && { port }) }
}
