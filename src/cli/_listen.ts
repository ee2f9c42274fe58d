import { BlockList, isIP } from 'node:net'
import { Failure } from '../base/failure.ts'

/**
 * The address of `--listen`: `8080`, `127.0.0.1:8080`, `[::1]:0`, `localhost:8080`. Beyond this host
 * only if `remote`: whoever reaches the port reads the disk.
 * Fails with USAGE.
 */
export function parseListen(text: string, remote: boolean): { host: string; port: number } {
  const match = /^(?:(?:\[([\da-f:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/i.exec(text)
  const host = match?.[1] ?? match?.[2] ?? '127.0.0.1'
  const port = Number(match?.[3])
  if (match === null || port > 65_535 || (host !== 'localhost' && isIP(host) === 0))
    throw new Failure('USAGE', `--listen ${text}: wanted ADDRESS:PORT, such as 127.0.0.1:8080`)
  if (!remote && !isLoopback(host))
    throw new Failure(
      'USAGE',
      `--listen ${text}: others than this host could read the disk there`,
      {
        fix: 'If that is what you want, say --remote too: anybody who reaches the port may read.',
      },
    )
  return { host, port }
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  const local = new BlockList()
  local.addSubnet('127.0.0.0', 8)
  return isIP(host) === 4 && local.check(host)
}
