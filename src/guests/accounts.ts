/**
 * Users and groups of a guest, read from its files.
 * Source: passwd(5), group(5), shadow(5).
 */
import { Failure } from '../base/failure.ts'
import type { Remote } from '../remotes/remote.ts'

export interface User {
  name: string
  uid: number
  gid: number
  comment: string
  home: string
  shell: string
}

export interface Group {
  name: string
  gid: number
  /** Names of users who have it beside their own group. */
  members: readonly string[]
}

export interface Accounts {
  users: readonly User[]
  groups: readonly Group[]
}

/** Lines that have too few fields, or ids that are no numbers, are left out. */
export function parsePasswd(text: string): User[] {
  return recordsOf(text, 7).flatMap(
    ([name = '', , uid, gid, comment = '', home = '', shell = '']) => {
      const ids = { uid: toId(uid), gid: toId(gid) }
      if (name === '' || ids.uid === undefined || ids.gid === undefined) return []
      return [{ name, uid: ids.uid, gid: ids.gid, comment, home, shell }]
    },
  )
}

export function parseGroup(text: string): Group[] {
  return recordsOf(text, 4).flatMap(([name = '', , gid, members = '']) => {
    const id = toId(gid)
    if (name === '' || id === undefined) return []
    return [{ name, gid: id, members: members.split(',').filter((one) => one !== '') }]
  })
}

/** Password fields by name of the user. */
export function parseShadow(text: string): Map<string, string> {
  return new Map(recordsOf(text, 2).map(([name = '', password = '']) => [name, password]))
}

function recordsOf(text: string, fields: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((record) => record.length >= fields)
}

function toId(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

export async function readAccounts(remote: Remote): Promise<Accounts> {
  return {
    users: parsePasswd((await remote.readText('/etc/passwd')) ?? ''),
    groups: parseGroup((await remote.readText('/etc/group')) ?? ''),
  }
}

/** The user's password field: a hash, `!hash` when it is locked, `!` or `*` when there is none. */
export async function readPassword(remote: Remote, user: string): Promise<string | undefined> {
  return parseShadow((await remote.readText('/etc/shadow')) ?? '').get(user)
}

/** Whether no password can open an account with this password field. */
export function isLocked(password: string | undefined): boolean {
  return password === undefined || /^[!*]/.test(password)
}

/** The id of a user given by name or number. Fails with STEP_FAILED when the guest has no such user. */
export function uidOf(accounts: Accounts, owner: string): number {
  const id = toId(owner) ?? accounts.users.find(({ name }) => name === owner)?.uid
  if (id === undefined) throw new Failure('STEP_FAILED', `the guest has no user '${owner}'`)
  return id
}

/** As `uidOf`, of a group. */
export function gidOf(accounts: Accounts, group: string): number {
  const id = toId(group) ?? accounts.groups.find(({ name }) => name === group)?.gid
  if (id === undefined) throw new Failure('STEP_FAILED', `the guest has no group '${group}'`)
  return id
}

/**
 * Why no user or group can be called so; undefined if one can.
 * Source: useradd(8), CAVEATS; stricter, so that no program takes a name for an option or a number.
 */
export function refuseAccountName(name: string): string | undefined {
  if (/^[a-z_][a-z0-9_.-]{0,30}\$?$/i.test(name)) return undefined
  return `'${name}' cannot be the name of a user or group; wanted letters, digits, - and _, a letter first, at most 32`
}
