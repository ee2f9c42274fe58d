import { BlockList, isIP } from 'node:net'

/** Addresses that are not the public internet's: this host, private networks, documentation, multicast. */
export const PRIVATE_NETWORKS: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
/** The rest of what is not 2000::/3, and in it tunnels, which carry an address of the above. */
const PRIVATE_6: readonly (readonly [network: string, prefix: number])[] = [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
]

const blocked = new BlockList()
for (const [network, prefix] of PRIVATE_NETWORKS) blocked.addSubnet(network, prefix, 'ipv4')
const blocked6 = new BlockList()
for (const [network, prefix] of PRIVATE_6) blocked6.addSubnet(network, prefix, 'ipv6')

/**
 * Whether an IP address belongs to the public internet. What a stranger may have us ask for is asked
 * only there. Source: IANA special-purpose address registries (RFC 6890).
 */
export function isPublicAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, '') // the zone of a link-local address
  const family = isIP(plain)
  if (family === 4) return !blocked.check(plain, 'ipv4')
  return family === 6 && !blocked6.check(plain, 'ipv6')
}
