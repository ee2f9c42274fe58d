/** Logging in to a guest that is starting: tried until it lets us in, with the key that it showed first from then on. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../base/context.ts'
import { Failure, isFailure, systemCode } from '../base/failure.ts'
import { openRemote } from '../remotes/open-remote.ts'
import type { Remote } from '../remotes/remote.ts'
import { openSsh } from '../remotes/ssh.ts'
import type { BuildLog } from './build-log.ts'
import type { PhaseScene } from './os-builder.ts'

export interface GuestLogin {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string
  /** Default 22. */
  readonly port?: number | undefined
  readonly user: string
  /** Of the only key that is tried. */
  readonly privateKeyFile: string
  /** Become root by `sudo`. */
  readonly become?: boolean | undefined
  /** Words in front of ssh, of the network in which the guest is found. */
  readonly launcher?: readonly string[] | undefined
  /** Where the guest's key is kept from the first login on. Default: `known_hosts` in the job's directory. */
  readonly pinsFile?: string | undefined
}

const RETRY_MS = 3000

/** None of the user's own configuration is meant for a guest of an hour. */
const SETTINGS = [
  'StrictHostKeyChecking=accept-new',
  'GlobalKnownHostsFile=none',
  'HashKnownHosts=no',
  'UpdateHostKeys=no',
  'CheckHostIP=no',
  'IdentityAgent=none',
  'PasswordAuthentication=no',
  'KbdInteractiveAuthentication=no',
  'ConnectTimeout=10',
]

/** Ends when the guest lets us in, the signal is aborted, or it shows another key than before. */
export async function logInToGuest(
  login: GuestLogin & { readonly pinsFile: string },
  log: BuildLog,
  { signal, tell }: PhaseScene,
  context: Context,
): Promise<Remote> {
  const { host, port = 22, user, privateKeyFile, become = false, pinsFile } = login
  const address = host.includes(':') ? `[${host}]` : host
  const options = {
    destination: `${user}@${address}:${port}`,
    become,
    configFile: 'none',
    identityFile: privateKeyFile,
    knownHostsFile: pinsFile,
    extra: SETTINGS,
    launcher: login.launcher,
  }
  // Trying ends with the phase, the connection with the job.
  const giveUp = new AbortController()
  const trying = { ...context, signal: AbortSignal.any([context.signal, giveUp.signal]) }
  const stop = () => giveUp.abort()
  let said = ''
  for (;;)
    try {
      signal.addEventListener('abort', stop, { once: true })
      const driver = await openSsh(options, trying)
      log.event(`logged in as ${options.destination}`)
      return openRemote(driver, context)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      // Its user or our key may come later than its sshd.
      const isEarly = isFailure(error, 'REMOTE_UNREACHABLE') || isFailure(error, 'REMOTE_DENIED')
      if (!isEarly) throw error
      if (error.message !== said) log.event(error.message)
      said = error.message
      tell(0, said)
      await wait(RETRY_MS, undefined, { signal }).catch(() => {
        throw signal.reason
      })
    } finally {
      signal.removeEventListener('abort', stop)
    }
}

/** The keys that were kept, as `ssh-ed25519 AAAA…`. */
export async function pinnedKeys(pinsFile: string): Promise<readonly string[]> {
  const text = await readFile(pinsFile, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap((line) => {
    const [, type, key] = line.split(' ')
    return type === undefined || key === undefined ? [] : [`${type} ${key}`]
  })
}

/** `ssh-ed25519 SHA256:…` of `ssh-ed25519 AAAA…`. Source: ssh-keygen(1), -l. */
export function fingerprintOf(key: string): string {
  const [type, data = ''] = key.split(' ')
  const digest = createHash('sha256').update(Buffer.from(data, 'base64')).digest('base64')
  return `${type} SHA256:${digest.replace(/=+$/, '')}`
}

export function untrusted({ host }: GuestLogin): Failure {
  return new Failure(
    'REMOTE_UNTRUSTED',
    `${host} shows another host key than the guest tells on its console`,
    { fix: 'Somebody else has the guest’s address, or stands between: look at the network.' },
  )
}

const KEY_FILES = ['authorized_keys', 'authorized_keys2']

/** Takes a public key (`ssh-ed25519 AAAA…`) out of all accounts; a file that held no other goes with it. */
export async function takeOutKey(remote: Remote, publicKey: string): Promise<void> {
  const [, key = ''] = publicKey.split(' ')
  const homes = ((await remote.list('/home')) ?? []).map((name) => `/home/${name}`)
  for (const home of ['/root', ...homes])
    for (const name of KEY_FILES) {
      const path = `${home}/.ssh/${name}`
      const text = (await remote.readText(path)) ?? ''
      const rest = text.split('\n').filter((line) => !line.includes(key))
      if (key === '' || rest.length === text.split('\n').length) continue
      const stat = await remote.stat(path)
      if (stat === undefined || rest.every((line) => line.trim() === '')) await remote.remove(path)
      else await remote.writeFile(path, rest.join('\n'), stat)
    }
}
