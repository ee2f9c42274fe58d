/**
 * A host that is none, for tests of uplinks: started in a network namespace of its own, it has addresses of every kind, a
 * service on each, and a guest's command that asks for them. Prints what the command got, or with `stay` its processes.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { makeContext } from '../base/context.ts'
import { runProcess, runTool } from '../base/process.ts'
import { fenceUplinks } from '../remotes/fenced-uplink.ts'
import { hostUplink } from '../remotes/uplink.ts'

/** Asked for by a command in a guest. */
export const ADDRESSES = {
  public: 'http://9.9.9.9',
  mirror: 'http://10.9.8.7',
  'a host that is named': 'http://10.9.8.6:81',
  'a proxy on loopback': 'http://127.0.0.1:3142',
  'another port of the mirror': 'http://10.9.8.7:81',
  'another private host': 'http://192.168.3.4',
  'metadata of a cloud': 'http://169.254.169.254',
  'an address of this host': 'http://10.0.0.2',
  'a public address of this host': 'http://8.8.4.4',
  loopback: 'http://127.0.0.1',
  'loopback of IPv6': 'http://[::1]',
  'a private address of IPv6': 'http://[fd00::5]',
  'loopback, as slirp shows it': 'http://198.18.0.2',
} as const
/** All that is named; the rest is for the fence to know. */
const PLACES = [
  'http://10.9.8.7/debian',
  '10.9.8.6',
  'http://127.0.0.1:3142',
  'no-such-host.invalid',
]

const HOST = `ip link set lo up
ip link add outer type veth peer name wire
ip link set wire up
ip link set outer up
ip addr add 10.0.0.2/24 dev outer
ip addr add 8.8.4.4/32 dev outer
for address in 9.9.9.9 10.9.8.7 10.9.8.6 192.168.3.4 169.254.169.254; do ip addr add $address/32 dev lo; done
ip addr add fd00::5/128 dev lo nodad`

if (process.argv[1] === import.meta.filename) await main(process.argv[2])

async function main(what: string | undefined): Promise<void> {
  await runTool(['sh', '-ec', HOST])
  for (const port of [80, 81, 3142]) {
    const server = createServer((_, response) => response.end('here'))
    await new Promise<void>((resolve) => server.listen(port, '::', resolve))
    server.unref()
  }
  const open = what === 'host' ? hostUplink : fenceUplinks(async () => PLACES)
  await using uplink = await open([], makeContext())
  if (what === 'stay') {
    process.send?.(childrenOf(process.pid))
    await new Promise((resolve) => setTimeout(resolve, 600_000))
  }
  const ask =
    'for url; do curl --silent --max-time 5 --output /dev/null "$url" && echo "$url"; done; true'
  const argv = [...uplink.launcher, 'sh', '-c', ask, 'sh', ...Object.values(ADDRESSES)]
  const { stdout } = await runProcess(argv)
  process.send?.(stdout.toString().trim().split('\n'))
  process.disconnect?.()
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((child) => {
      if (!(child > 0)) return false
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
      } catch {
        return false
      }
    })
}
