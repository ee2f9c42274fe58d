/** Which addresses of the web a user may have us ask. */
import { isIP } from 'node:net'
import { Failure } from '../base/failure.ts'
import { isPublicAddress } from '../bytes/public-address.ts'
import { type WebRules, withoutPassword } from '../bytes/web-request.ts'

/** The section `import.web` of the configuration. Of a pair of lists the second is asked only if the first is empty. */
export interface WebRulesConfig {
  readonly allowed_schemes: readonly string[]
  readonly denied_schemes: readonly string[]
  readonly allowed_hosts: readonly string[]
  readonly denied_hosts: readonly string[]
  readonly allowed_ports: readonly number[]
  readonly denied_ports: readonly number[]
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 }

/**
 * The rules of a configuration. What they refuse fails with REQUEST_INVALID. Hosts count as the address spells them
 * once it is written plainly, so that `0x7f.1` is 127.0.0.1. Addresses that are not on the public internet are
 * refused, whatever name leads there, unless the host is one of those allowed by name.
 */
export function makeWebRules(config: WebRulesConfig): WebRules {
  const hosts = {
    allowed: config.allowed_hosts.map(plainHost),
    denied: config.denied_hosts.map(plainHost),
  }
  return {
    checkUrl: (url) => {
      const scheme = url.protocol.slice(0, -1)
      const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port)
      const host = plainHost(url.hostname)
      if (host === '' || port === undefined) throw refused(url, 'no address of the web')
      if (!passes(scheme, config.allowed_schemes, config.denied_schemes))
        throw refused(url, `scheme ${scheme} is not allowed`)
      if (!passes(host, hosts.allowed, hosts.denied))
        throw refused(url, `host ${host} is not allowed`)
      if (!passes(port, config.allowed_ports, config.denied_ports))
        throw refused(url, `port ${port} is not allowed`)
    },
    checkAddress: (url, address) => {
      if (isPublicAddress(address) || hosts.allowed.includes(plainHost(url.hostname))) return
      throw refused(url, `${address} is not on the public internet`)
    },
  }
}

/**
 * An address that a user gives. Fails with REQUEST_INVALID when it is none, or the rules refuse it; what a name
 * leads to is checked when it is asked.
 */
export function parseWebAddress(text: string, rules: WebRules): URL {
  if (!URL.canParse(text))
    throw new Failure('REQUEST_INVALID', `'${text.slice(0, 200)}' is no address`)
  const url = new URL(text)
  rules.checkUrl(url)
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  if (isIP(host) !== 0) rules.checkAddress(url, host)
  return url
}

function passes<T>(value: T, allowed: readonly T[], denied: readonly T[]): boolean {
  return allowed.length > 0 ? allowed.includes(value) : !denied.includes(value)
}

/** As an address has it: lower case, numbers in their plain form, no dot at the end. */
function plainHost(host: string): string {
  const inside = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const plain = URL.canParse(`http://${inside}/`) ? new URL(`http://${inside}/`).hostname : host
  return plain.toLowerCase().replace(/\.$/, '')
}

function refused({ href }: URL, reason: string): Failure {
  const url = withoutPassword(href)
  return new Failure('REQUEST_INVALID', `${url} may not be asked for: ${reason}`, {
    details: { url },
  })
}
