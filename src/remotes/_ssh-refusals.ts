/** Why a host could not be worked on, read from what ssh, sudo and login shells say. */
import { Failure, type FailureCode } from '../base/failure.ts'
import type { Destination } from './_ssh-destination.ts'

/** What is known of a first session that ended before it was of use. */
export interface Refusal {
  destination: Destination
  become: boolean
  /** The user id that the host told, if a shell was reached. */
  uid: string | undefined
  /** What ssh, sudo and the login shell printed. */
  said: string
  /** What was named on our command line. */
  identityFile: string | undefined
}

interface Case {
  pattern: RegExp
  code: FailureCode
  message: (refusal: Refusal) => string
  fix?: (refusal: Refusal) => string
}

const login = ({ destination: { user, host, port } }: Refusal) =>
  `ssh ${port === undefined ? '' : `-p ${port} `}${user === undefined ? '' : `${user}@`}${host}`
const userOf = ({ destination: { user } }: Refusal) => user ?? 'the user'

/** As `known_hosts` names a host. */
const knownName = ({ destination: { host, port } }: Refusal) =>
  port === undefined || port === 22 ? host : `'[${host}]:${port}'`

/** Source: messages of OpenSSH's client, 7.x to 9.x. */
const BEFORE_LOGIN: readonly Case[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|POSSIBLE DNS SPOOFING/,
    code: 'REMOTE_UNTRUSTED',
    message: () => 'its host key is not the one it is known by',
    fix: (r) =>
      `If the host was made anew, and its owner confirms the new key: ssh-keygen -R ${knownName(r)}, then log in once with: ${login(r)}`,
  },
  {
    pattern: /Host key verification failed|No \S+ host key is known/,
    code: 'REMOTE_UNTRUSTED',
    message: () => 'its host key is not known here',
    fix: (r) => `Log in once by hand and compare the key with what its owner says: ${login(r)}`,
  },
  {
    pattern: /Permission denied|Too many authentication failures|No supported authentication/,
    code: 'REMOTE_DENIED',
    message: ({ said, identityFile, destination }) =>
      `no key was accepted${destination.user === undefined ? '' : ` for ${destination.user}`}${
        identityFile !== undefined &&
        /not accessible|invalid format|bad permissions|UNPROTECTED/.test(said)
          ? `, and ${identityFile} could not be used: ${lineWith(said, /not accessible|invalid format|bad permissions/)}`
          : ''
      }`,
    fix: (r) =>
      `Load the key into the agent (ssh-add KEY) or name it with --identity KEY; this must work without a password: ${login(r)} true`,
  },
]

/** Source: messages of sudo 1.8 and 1.9 (LANG=C). */
const SUDO: readonly Case[] = [
  {
    pattern: /must have a tty|no tty present/,
    code: 'REMOTE_DENIED',
    message: (r) => `sudo wants a terminal from ${userOf(r)} (requiretty)`,
    fix: (r) =>
      `Add to the host's sudoers, with visudo: Defaults:${r.destination.user ?? 'USER'} !requiretty`,
  },
  {
    pattern: /password is required|no password was provided|authentication is required/,
    code: 'REMOTE_DENIED',
    message: (r) => `sudo wants a password from ${userOf(r)}`,
    fix: (r) =>
      `Add to the host's sudoers, with visudo: ${r.destination.user ?? 'USER'} ALL=(ALL) NOPASSWD: ALL`,
  },
  {
    pattern: /not in the sudoers file|not allowed to|may not run sudo/,
    code: 'REMOTE_DENIED',
    message: (r) => `${userOf(r)} may not become root by sudo`,
    fix: (r) =>
      `Add to the host's sudoers, with visudo: ${r.destination.user ?? 'USER'} ALL=(ALL) NOPASSWD: ALL`,
  },
  {
    pattern: /sudo: not found|sudo: command not found|can't execute 'sudo'|sudo: No such file/,
    code: 'REMOTE_DENIED',
    message: () => 'there is no sudo',
    fix: () => 'Install sudo there, or log in as root.',
  },
]

/** The Failure for a first session that ended too early. */
export function explainRefusal(refusal: Refusal): Failure {
  const { destination, uid, become, said } = refusal
  const details = { host: destination.host, said: said.trim().slice(-2000) }
  const failure = (code: FailureCode, why: string, fix?: string) =>
    new Failure(code, `${destination.text}: ${why}`, { details, ...(fix !== undefined && { fix }) })
  if (uid !== undefined && uid !== '0' && !become)
    return failure(
      'NEEDS_ROOT',
      `${userOf(refusal)} is not root there`,
      'Say --become to use sudo, or log in as root.',
    )
  const known = (uid === undefined ? BEFORE_LOGIN : SUDO).find(({ pattern }) => pattern.test(said))
  if (known) return failure(known.code, known.message(refusal), known.fix?.(refusal))
  const last = said.trim().split(/\r?\n/).at(-1) || 'no reason given'
  if (uid !== undefined) return failure('REMOTE_DENIED', `sudo did not make us root: ${last}`)
  if (
    /^ssh: |kex_exchange|banner exchange|Connection (closed|reset|refused|timed out)|port \d+:/m.test(
      said,
    )
  )
    return failure(
      'REMOTE_UNREACHABLE',
      last.replace(/^ssh: /, ''),
      `Find out whether it is up and whether this works: ${login(refusal)} true`,
    )
  return failure(
    'REMOTE_DENIED',
    `logging in gave no shell: ${last}`,
    `This must print 0 or another number: ${login(refusal)} id -u`,
  )
}

function lineWith(text: string, pattern: RegExp): string {
  return (
    text
      .split(/\r?\n/)
      .find((line) => pattern.test(line))
      ?.trim() ?? ''
  )
}
