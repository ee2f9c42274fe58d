/**
 * Fenced uplinks: a network namespace for each guest, out of which slirp4netns carries what may leave it: to the public
 * internet, and to the few private places that are named. This host's loopback services, its own addresses, private
 * networks and link-local addresses (those of clouds' metadata among them) are not there. See docs/decisions/019.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import type { Readable } from 'node:stream'
import type { Context } from '../base/context.ts'
import { Failure, messageOf } from '../base/failure.ts'
import { exitOf, findProgram, startProcess, stopProcess } from '../base/process.ts'
import { FENCE, findEndpoints, toFenceResolver, toFenceRules } from './_fence-rules.ts'
import { hostUplink, type OpenUplink, type Uplink } from './uplink.ts'

/** How long it may take on a busy host; on an idle one a tenth of a second. */
const LIMIT_MS = 120_000
const PROGRAMS = ['slirp4netns', 'ip', 'nsenter', 'unshare'] as const
const SLIRP = [
  'slirp4netns',
  '--configure',
  '--disable-host-loopback',
  '--enable-sandbox',
  '--enable-seccomp',
  '--mtu=65520',
  `--cidr=${FENCE.network}`,
  '--ready-fd=3',
  '--exit-fd=4',
] as const
/** In a user namespace this is root of it, which may arrange the network there. */
const AS_ROOT = ['unshare', '--map-root-user', '--'] as const

/**
 * Holds the namespaces: says its process id, and when it is told that the network is there, lays the resolver over this
 * host's, arranges routing, and stays until its input ends. The file below the resolver has no name any more.
 */
const HOLDER = `set -e
echo "$$"
read -r _
if [ -e /etc/resolv.conf ]; then
  file=$(mktemp)
  printf %s "$1" > "$file"
  chmod 644 "$file"
  mount --bind "$file" /etc/resolv.conf
  rm "$file"
fi
printf %s "$2" | ip -batch -
[ -z "$3" ] || echo 1 > "/proc/sys/net/ipv4/conf/$3/route_localnet"
echo ready
exec cat > /dev/null`

/**
 * Uplinks behind a fence, or this host's own network where it can make no fence: then that is said once, as a warning.
 * A host that can make one gives no other. `places`: web addresses and hosts that may be reached wherever they are.
 */
export function fenceUplinks(places: () => Promise<readonly string[]>): OpenUplink {
  const troubles = new Map<string, Promise<string | undefined>>()
  return async (userNamespace, context) => {
    const key = userNamespace.join(' ')
    const asked = troubles.get(key)
    // For all who ask meanwhile, so that none of them interrupts it.
    const unhurried = { ...context, signal: new AbortController().signal }
    const answer = asked ?? findFenceTrouble(userNamespace, unhurried)
    troubles.set(key, answer)
    const trouble = await answer.catch((error: unknown) => {
      troubles.delete(key)
      throw error
    })
    if (trouble === undefined) return await openFence(await places(), userNamespace, context)
    if (asked === undefined) context.log.warn('guest-network.not-fenced', { reason: trouble })
    return await hostUplink(userNamespace, context)
  }
}

/** Why this host can make no fence; undefined: it can. Fails with INTERRUPTED, GUEST_NETWORK_FAILED (no answer). */
export async function findFenceTrouble(
  userNamespace: readonly string[],
  context: Context,
): Promise<string | undefined> {
  const missing = PROGRAMS.find((program) => findProgram(program) === undefined)
  if (missing !== undefined) return `${missing} is not installed`
  if (outerAddresses().length === 0) return 'this host has no address of IPv4'
  try {
    await using fence = await openFence([], userNamespace, context)
    context.log.debug('guest-network.fenced', { launcher: fence.launcher.join(' ') })
    return undefined
  } catch (error) {
    if (error instanceof Failure && error.cause instanceof Refusal) return error.cause.message
    throw error
  }
}

/** A program ended that was to stay: a fact of this host, where silence is one of the moment. */
class Refusal extends Error {}

async function openFence(
  places: readonly string[],
  userNamespace: readonly string[],
  context: Context,
): Promise<Uplink> {
  const own = outerAddresses()
  const allowed = await findEndpoints(places, own)
  const usesLoopback = allowed.some(({ address }) => address.startsWith('127.'))
  const rules = toFenceRules(allowed, own).map((line) => `${line}\n`)
  const resolver = toFenceResolver(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''))
  const isRoot = process.geteuid?.() === 0
  const entry = userNamespace.length > 0 || isRoot ? userNamespace : AS_ROOT
  const limit = AbortSignal.any([context.signal, AbortSignal.timeout(LIMIT_MS)])

  await using stack = new AsyncDisposableStack()
  try {
    const space = ['unshare', '--net', '--mount', '--propagation', 'slave', '--']
    const words = [resolver, rules.join(''), usesLoopback ? FENCE.device : '']
    const holder = start(
      [...entry, ...space, 'sh', '-c', HOLDER, 'sh', ...words],
      ['pipe', 'pipe', 'pipe'],
      stack,
    )
    const pid = (await hear(holder, holder.child.stdout, limit)).trim()
    const slirp = start(
      [...SLIRP, pid, FENCE.device],
      ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      stack,
    )
    // It ends when the other end of its `--exit-fd` is closed, which is this process's.
    await hear(slirp, slirp.child.stdio[3], limit)
    holder.child.stdin?.write('go\n')
    await hear(holder, holder.child.stdout, limit)
    const owned = stack.move()
    return {
      launcher: toLauncher(pid, userNamespace, isRoot),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  } catch (error) {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', 'the network of the guest was not made: interrupted')
    if (error instanceof Failure) throw error
    throw new Failure('GUEST_NETWORK_FAILED', `a guest's network: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Into the namespaces of the holder. A caller who is not root is itself again in the end, and so cannot undo what the
 * holder arranged; in the user namespace of a sandbox, that is the sandbox's to see to.
 */
function toLauncher(pid: string, userNamespace: readonly string[], isRoot: boolean): string[] {
  const user = isRoot && userNamespace.length === 0 ? [] : ['--user', '--preserve-credentials']
  const enter = ['nsenter', `--target=${pid}`, ...user, '--net', '--mount', '--wd', '--']
  if (isRoot || userNamespace.length > 0) return enter
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()]
  return [...enter, 'unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--']
}

interface Started {
  readonly child: ChildProcess
  /** Rejects when it ends, with what it said last. */
  readonly ended: Promise<never>
}

function start(
  argv: readonly string[],
  stdio: ('ignore' | 'pipe')[],
  stack: AsyncDisposableStack,
): Started {
  const child = startProcess(argv, { stdio })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4096)
  })
  for (const stream of child.stdio) stream?.on('error', () => {}) // its end says more
  const name = argv.find((word) => PROGRAMS.some((program) => program === word)) ?? 'it'
  const ended = exitOf(child, name).then((code) => {
    throw new Refusal(`${name} ended with ${code}: ${said.trim().split('\n').at(-1) ?? ''}`)
  })
  ended.catch(() => {})
  stack.defer(() => stopProcess(child))
  return { child, ended }
}

/** The first thing that it says next. */
async function hear(
  { ended }: Started,
  stream: ChildProcess['stdio'][number] | null | undefined,
  signal: AbortSignal,
): Promise<string> {
  const [chunk] = (await Promise.race([once(stream as Readable, 'data', { signal }), ended])) as [
    Buffer,
  ]
  return chunk.toString()
}

/** Addresses of this host that others know it by. */
function outerAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address),
  )
}
