/**
 * A host to log in to: an sshd on the loopback address, in namespaces of its own and on a copy of
 * this machine that is thrown away. Whatever is done there as root, this machine stays as it is;
 * when the host is stopped, all its processes end. The copy is an overlay: it costs no time.
 */
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitOf, findProgram, runTool, startProcess, stopProcess } from '../base/process.ts'
import type { SshOptions } from '../remotes/ssh.ts'

/** What sudo lets a user do: everything; the same with a password; with a terminal; nothing. */
export type SudoRight = 'free' | 'password' | 'tty' | 'none'

export interface SshdOptions {
  /** Users beside root, who log in with the same key. */
  users?: Readonly<Record<string, { sudo: SudoRight; shell?: string }>>
  /** What `/bin/sh` is there, and with busybox most other commands too. Default: as here. */
  shell?: 'bash' | 'busybox'
  /** More lines of sshd_config(5). */
  config?: readonly string[]
  /** Shell commands run there, as root, before sshd starts. */
  prepare?: string
}

/** A host that runs. */
export interface Sshd extends AsyncDisposable {
  readonly port: number
  /** An ssh configuration with the right keys, in which the host is also called `the-host`. */
  readonly configFile: string
  readonly identityFile: string
  readonly knownHostsFile: string
  /** For `openSsh`: logs in as `user`, default root. */
  login(user?: string): SshOptions
  /** Runs a shell script there as root, not over SSH; its standard output. */
  inside(script: string): Promise<string>
  /** Cuts all connections, as a host that falls over; it takes new ones. */
  cut(): Promise<void>
}

const SUDOERS: Readonly<Record<SudoRight, (user: string) => string>> = {
  free: (user) => `${user} ALL=(ALL) NOPASSWD: ALL`,
  password: (user) => `${user} ALL=(ALL) ALL`,
  tty: (user) => `Defaults:${user} requiretty\n${user} ALL=(ALL) NOPASSWD: ALL`,
  none: () => '',
}

/** Why no host can be started here, for a test's skip reason; undefined when one can. */
export function whyNoSshd(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for namespaces and an overlay'
  const missing = ['sshd', 'ssh', 'ssh-keygen', 'setpriv', 'unshare', 'nsenter', 'sudo'].filter(
    (program) => findProgram(program) === undefined,
  )
  return missing.length > 0 ? `needs ${missing.join(', ')}` : undefined
}

/** Starts a host. Takes about half a second. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-sshd-'))
  const at = (name: string) => join(directory, name)
  const port = await findFreePort()
  for (const name of ['host_key', 'key'])
    await runTool(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', at(name)])
  const hostKey = (await readFile(at('host_key.pub'), 'utf8')).split(' ').slice(0, 2).join(' ')
  await writeFile(at('known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`)
  await writeFile(at('ssh_config'), clientConfig(directory, port))
  await writeFile(at('sshd_config'), serverConfig(port, options.config ?? []))
  await writeFile(at('prepare'), toPrepare(options))
  const host = startProcess([...NAMESPACES, 'sh', '-c', START, 'sh', directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const stop = async () => {
    await stopProcess(host)
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await listening(host)
  } catch (error) {
    await stop()
    throw error
  }
  const [daemon] = await childrenOf(host.pid!)
  return {
    port,
    configFile: at('ssh_config'),
    identityFile: at('key'),
    knownHostsFile: at('known_hosts'),
    login: (user = 'root') => ({
      destination: `${user}@127.0.0.1:${port}`,
      configFile: at('ssh_config'),
    }),
    inside: async (script) => {
      const enter = ['nsenter', '--target', String(daemon), '--mount', '--pid', '--root']
      return String(await runTool([...enter, 'sh', '-c', `cd /; ${script}`]))
    },
    cut: async () => {
      // each connection is a child of the daemon, and where it has become a user, a grandchild
      const connections = await childrenOf(daemon!)
      const all = [...connections, ...(await Promise.all(connections.map(childrenOf))).flat()]
      for (const id of all) if (await isSshd(id)) process.kill(id, 'SIGKILL')
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** Ends when this process does, however that ends, and all in the namespaces with it. */
const NAMESPACES =
  'setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --propagation private'.split(
    ' ',
  )

/** Run in the new namespaces, with the directory as $1: makes the copy, then becomes its sshd. */
const START = `set -e
umask 022
mount -t tmpfs -o size=1g tmpfs /mnt
mkdir /mnt/changes /mnt/work /mnt/copy
mount -t overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work overlay /mnt/copy
cd /mnt/copy
mount -t proc proc proc
mount --rbind /dev dev
for d in run tmp var/tmp; do mount -t tmpfs tmpfs $d; done
chmod 1777 tmp var/tmp
mkdir run/sshd run/host
cp "$1"/host_key "$1"/key.pub "$1"/sshd_config "$1"/prepare run/host
chroot . sh /run/host/prepare >&2
exec chroot . /usr/sbin/sshd -D -e -f /run/host/sshd_config`

function toPrepare({ users = {}, shell, prepare = '' }: SshdOptions): string {
  const lines = ['set -e']
  for (const [name, { sudo, shell }] of Object.entries(users)) {
    lines.push(`useradd -m -s ${shell ?? '/bin/bash'} ${name}`, `usermod -p '*' ${name}`)
    lines.push(`printf '%s\\n' '${SUDOERS[sudo](name)}' > /etc/sudoers.d/${name}`)
  }
  if (shell === 'bash') lines.push('ln -sf bash /bin/sh')
  if (shell === 'busybox')
    lines.push('busybox --install -s /usr/local/sbin', 'ln -sf /bin/busybox /bin/sh')
  return `${lines.join('\n')}\n${prepare}\n`
}

function serverConfig(port: number, more: readonly string[]): string {
  return [
    ...more,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    'HostKey /run/host/host_key',
    'AuthorizedKeysFile /run/host/key.pub',
    'StrictModes no',
    'PidFile none',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'LogLevel INFO',
    '',
  ].join('\n')
}

function clientConfig(directory: string, port: number): string {
  return [
    'Host the-host',
    '  HostName 127.0.0.1',
    `  Port ${port}`,
    '  User root',
    'Host *',
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  IdentityFile ${join(directory, 'key')}`,
    `  UserKnownHostsFile ${join(directory, 'known_hosts')}`,
    '  GlobalKnownHostsFile /dev/null',
    '',
  ].join('\n')
}

/** Resolves when sshd says that it listens; fails with what it said when it ends instead. */
async function listening(host: ChildProcess): Promise<void> {
  let said = ''
  const heard = new Promise<void>((resolve) => {
    host.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000)
      if (said.includes('Server listening')) resolve()
    })
  })
  const ended = exitOf(host, 'unshare').then((code) => {
    throw new Error(`sshd did not start (${code}): ${said}`)
  })
  ended.catch(() => {})
  await Promise.race([heard, ended])
}

/** One below those that this host gives away by itself, so that nobody gets it before sshd has it. */
async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) =>
      server
        .once('error', () => resolve(false))
        .listen(port, '127.0.0.1', () => server.close(() => resolve(true))),
    )
    if (isFree) return port
  }
}

async function childrenOf(id: number): Promise<number[]> {
  const text = await readFile(`/proc/${id}/task/${id}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

async function isSshd(id: number): Promise<boolean> {
  const name = await readFile(`/proc/${id}/comm`, 'utf8').catch(() => '')
  return name.startsWith('sshd')
}
