import { isIPv6 } from 'node:net'
import { Failure } from '../base/failure.ts'

/** Where to log in, as a user writes it. */
export interface Destination {
  user: string | undefined
  /** A name, an alias of the user's ssh configuration, or an address without brackets. */
  host: string
  port: number | undefined
  /** As it is shown: `root@web-01`, `[::1]:2222`. */
  text: string
}

const SHAPE =
  /^(?:(?<user>[^/]+)@)?(?:\[(?<address>[^\]]*)\]|(?<name>[^:[\]@]+))(?::(?<port>\d{1,5}))?$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*\$?$/
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/**
 * `[USER@]HOST[:PORT]`; an IPv6 address stands in brackets. Only what cannot be taken for an option
 * or for shell code, since ssh hands these words to the user's ProxyCommand.
 * Fails with USAGE.
 */
export function parseDestination(text: string): Destination {
  const wrong = (why: string) =>
    new Failure('USAGE', `'${text}' is not a host to log in to: ${why}`, {
      fix: 'Write [USER@]HOST[:PORT], and an IPv6 address in brackets: root@[2001:db8::1]:22.',
    })
  const parts = text.length > 300 ? undefined : SHAPE.exec(text)?.groups
  if (!parts) throw wrong(isIPv6(text) ? 'its brackets are missing' : 'wanted [USER@]HOST[:PORT]')
  const { user, address, name } = parts
  const port = parts['port'] === undefined ? undefined : Number(parts['port'])
  if (user !== undefined && !USER.test(user)) throw wrong(`no user is called '${user}'`)
  if (address !== undefined && !isIPv6(address)) throw wrong(`'${address}' is no IPv6 address`)
  if (name !== undefined && !NAME.test(name)) throw wrong(`no host is called '${name}'`)
  if (port !== undefined && (port < 1 || port > 65_535)) throw wrong(`there is no port ${port}`)
  return { user, host: address ?? name ?? '', port, text }
}
