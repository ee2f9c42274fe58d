/** Where this host asks for what others name: anywhere, or only where everybody may. */
import { Failure } from '../base/failure.ts'
import { isPublicAddress } from './public-address.ts'
import { type WebRules, withoutPassword } from './web-request.ts'

/** For whoever owns the host, and could ask themselves. */
export const anyWeb: WebRules = { checkUrl: () => {}, checkAddress: () => {} }

/**
 * The public internet, and the hosts that are named, by name or number, wherever they are. `fix` says how a host is
 * named. What it refuses fails with DOWNLOAD_FAILED.
 */
export function publicWeb(hosts: readonly string[], fix: string): WebRules {
  const named = new Set(hosts.map((host) => host.toLowerCase()))
  return {
    checkUrl: () => {},
    checkAddress: ({ href, hostname }, address) => {
      const host = hostname.replaceAll(/^\[|\]$/g, '')
      if (named.has(host) || named.has(address) || isPublicAddress(address)) return
      const url = withoutPassword(href)
      throw new Failure(
        'DOWNLOAD_FAILED',
        `${url} is at ${address}, which is not on the public internet`,
        { details: { url, address }, fix },
      )
    },
  }
}
