/** `user` and `group`. What is there is read from files; changes are left to the guest's own tools. */
import { Failure } from '../../base/failure.ts'
import {
  gidOf,
  isLocked,
  readAccounts,
  readPassword,
  refuseAccountName,
} from '../../guests/accounts.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText, isGuestPath, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface UserOptions {
  name: string
  uid?: number
  group?: string
  groups?: string[]
  comment?: string
  home?: string
  shell?: string
  system?: boolean
  password_hash?: string
  locked?: boolean
  absent?: boolean
}

const MAX_ID = 2 ** 32 - 2
const idSchema = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_ID, description }))

export const user = defineValidator<string | UserOptions, UserOptions>({
  name: 'user',
  summary: 'a user with these properties, or no such user',
  description: `Only what is said is looked at. A new user gets a group of its own name unless \`group\` is given, and a home directory unless it is
a \`system\` user; no password opens its account until \`password_hash\` gives one. \`groups\` are those it must have at least. With \`absent\` the
account goes; its files stay.`,
  example: `
- user: deploy
- user:
    name: ann
    uid: 1500
    groups: [sudo]
    shell: /bin/bash
    locked: true`,
  schema: Type.Union([
    Type.String({ minLength: 1, title: 'the name of a user' }),
    Type.Object(
      {
        name: Type.String({ minLength: 1, description: 'the login name' }),
        uid: idSchema('the user’s number'),
        group: Type.Optional(
          Type.String({ minLength: 1, description: 'the user’s own group, by name or number' }),
        ),
        groups: Type.Optional(
          Type.Array(Type.String({ minLength: 1 }), { description: 'further groups, at least' }),
        ),
        comment: Type.Optional(Type.String({ description: 'the full name (GECOS field)' })),
        home: Type.Optional(Type.String({ minLength: 1, description: 'the home directory' })),
        shell: Type.Optional(Type.String({ minLength: 1, description: 'the login shell' })),
        system: Type.Optional(
          Type.Boolean({
            description: 'made as a system user: a low number, no home directory; default false',
          }),
        ),
        password_hash: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              'the password as crypt(5) hashes it, such as `$y$…`; best from a secret argument',
          }),
        ),
        locked: Type.Optional(
          Type.Boolean({ description: 'whether no password opens the account; keys still do' }),
        ),
        absent: Type.Optional(Type.Boolean({ description: 'whether there must be no such user' })),
      },
      { additionalProperties: false },
    ),
  ]),
  templated: true,
  load: (spec, loading) => {
    const options = typeof spec === 'string' ? { name: spec } : spec
    expectText(loading, typeof spec === 'string' ? [] : ['name'], options.name, refuseAccountName)
    expectText(loading, ['group'], options.group, isGroup)
    for (const [index, group] of (options.groups ?? []).entries())
      expectText(loading, ['groups', index], group, refuseAccountName)
    expectText(loading, ['home'], options.home, isGuestPath)
    expectText(loading, ['shell'], options.shell, isGuestPath)
    expectText(loading, ['comment'], options.comment, isField)
    expectText(loading, ['password_hash'], options.password_hash, isPasswordHash)
    if (options.absent && Object.keys(options).length > 2)
      loading.fault(['absent'], 'a user that must not be there has no properties')
    if (options.locked && options.password_hash !== undefined)
      loading.fault(['locked'], 'an account with a password is not locked; wanted one of the two')
    return options
  },
  title: ({ name, absent }) => (absent ? `no user ${name}` : `user ${name}`),
  check: async (options, scene) => (await compareUser(options, scene)).differences,
  apply: async (options, scene) => {
    const { exists, differences } = await compareUser(options, scene)
    const { name } = options
    if (options.absent) return await change(scene, ['userdel', '--', name])
    if (!exists) {
      const words = await toCreateWords(options, scene)
      await change(scene, ['useradd', ...words, '--', name])
    } else if (differences.length > 0) await modifyUser(options, scene)
    if (options.password_hash !== undefined)
      await change(scene, ['chpasswd', '-e'], `${name}:${options.password_hash}\n`)
    if (options.locked && !isLocked(await readPassword(scene.remote, name)))
      await change(scene, ['usermod', '-L', '--', name])
    return undefined
  },
})

async function compareUser(
  options: UserOptions,
  { remote }: Scene,
): Promise<{ exists: boolean; differences: Difference[] }> {
  const name = demandText(options.name, refuseAccountName)
  for (const group of options.groups ?? []) demandText(group, refuseAccountName)
  const accounts = await readAccounts(remote)
  const found = accounts.users.find((one) => one.name === name)
  const what = `user ${name}`
  if (options.absent)
    return {
      exists: found !== undefined,
      differences: found ? [{ what, expected: 'none', found: `uid ${found.uid}` }] : [],
    }
  if (!found)
    return { exists: false, differences: [{ what, expected: 'there', found: 'no such user' }] }
  const differences: Difference[] = []
  const compare = (key: string, expected: string | number | undefined, is: string | number) => {
    if (expected !== undefined && expected !== is)
      differences.push({ what: `${key} of ${what}`, expected: String(expected), found: String(is) })
  }
  compare('uid', options.uid, found.uid)
  if (options.group !== undefined) compare('group', gidOf(accounts, options.group), found.gid)
  compare('home', options.home, found.home)
  compare('shell', options.shell, found.shell)
  compare('comment', options.comment, found.comment)
  const missing = (options.groups ?? []).filter((wanted) => {
    const group = accounts.groups.find((one) => one.name === wanted)
    return !group || !(group.members.includes(name) || group.gid === found.gid)
  })
  if (missing.length > 0)
    differences.push({
      what: `groups of ${what}`,
      expected: (options.groups ?? []).join(', '),
      found: `not in ${missing.join(', ')}`,
    })
  if (options.locked !== undefined || options.password_hash !== undefined) {
    const password = await readPassword(remote, name)
    if (options.locked !== undefined && isLocked(password) !== options.locked)
      differences.push({
        what: `password of ${what}`,
        expected: options.locked ? 'locked' : 'not locked',
        found: options.locked ? 'not locked' : 'locked',
      })
    if (options.password_hash !== undefined && password !== options.password_hash)
      differences.push({ what: `password of ${what}`, expected: 'as given', found: 'another' })
  }
  return { exists: true, differences }
}

async function toCreateWords(options: UserOptions, { remote }: Scene): Promise<string[]> {
  const { name, uid, group, groups = [], system = false, locked } = options
  if (locked === false && options.password_hash === undefined)
    throw new Failure('STEP_FAILED', `user ${name} cannot be unlocked: it has no password`)
  const accounts = await readAccounts(remote)
  const own = group ?? (accounts.groups.some((one) => one.name === name) ? name : undefined)
  return [
    ...(system ? ['-r'] : []),
    system && options.home === undefined ? '-M' : '-m',
    ...(uid === undefined ? [] : ['-u', String(uid)]),
    ...(own === undefined ? ['-U'] : ['-g', own]),
    ...(groups.length > 0 ? ['-G', groups.join(',')] : []),
    ...propertyWords(options),
  ]
}

function propertyWords({ comment, home, shell }: UserOptions): string[] {
  return [
    ...(comment === undefined ? [] : ['-c', demandText(comment, isField)]),
    ...(home === undefined ? [] : ['-d', demandText(home, isGuestPath)]),
    ...(shell === undefined ? [] : ['-s', demandText(shell, isGuestPath)]),
  ]
}

async function modifyUser(options: UserOptions, scene: Scene): Promise<void> {
  const { name, uid, group, groups = [], locked } = options
  const words = [
    ...(uid === undefined ? [] : ['-u', String(uid)]),
    ...(group === undefined ? [] : ['-g', group]),
    ...(groups.length > 0 ? ['-a', '-G', groups.join(',')] : []),
    ...propertyWords(options),
  ]
  if (words.length > 0) await change(scene, ['usermod', ...words, '--', name])
  const password = await readPassword(scene.remote, name)
  if (locked !== false || options.password_hash !== undefined || !isLocked(password)) return
  if (!/^!+[^!*]/.test(password ?? ''))
    throw new Failure('STEP_FAILED', `user ${name} cannot be unlocked: it has no password`)
  await change(scene, ['usermod', '-U', '--', name])
}

interface GroupOptions {
  name: string
  gid?: number
  system?: boolean
  absent?: boolean
}

export const group = defineValidator<string | GroupOptions, GroupOptions>({
  name: 'group',
  summary: 'a group, or no such group',
  description: 'Who is in it is a matter of `user`.',
  example: `
- group: app
- group: {name: storage, gid: 990, system: true}`,
  schema: Type.Union([
    Type.String({ minLength: 1, title: 'the name of a group' }),
    Type.Object(
      {
        name: Type.String({ minLength: 1, description: 'its name' }),
        gid: idSchema('its number'),
        system: Type.Optional(
          Type.Boolean({ description: 'made with a low number; default false' }),
        ),
        absent: Type.Optional(Type.Boolean({ description: 'whether there must be no such group' })),
      },
      { additionalProperties: false },
    ),
  ]),
  templated: true,
  load: (spec, loading) => {
    const options = typeof spec === 'string' ? { name: spec } : spec
    expectText(loading, typeof spec === 'string' ? [] : ['name'], options.name, refuseAccountName)
    if (options.absent && Object.keys(options).length > 2)
      loading.fault(['absent'], 'a group that must not be there has no properties')
    return options
  },
  title: ({ name, absent }) => (absent ? `no group ${name}` : `group ${name}`),
  check: async (options, { remote }) => {
    const name = demandText(options.name, refuseAccountName)
    const found = (await readAccounts(remote)).groups.find((one) => one.name === name)
    const what = `group ${name}`
    if (options.absent) return found ? [{ what, expected: 'none', found: `gid ${found.gid}` }] : []
    if (!found) return [{ what, expected: 'there', found: 'no such group' }]
    return options.gid === undefined || options.gid === found.gid
      ? []
      : [{ what: `gid of ${what}`, expected: String(options.gid), found: String(found.gid) }]
  },
  apply: async ({ name, gid, system, absent }, scene) => {
    const accounts = await readAccounts(scene.remote)
    const exists = accounts.groups.some((one) => one.name === name)
    const words = [...(gid === undefined ? [] : ['-g', String(gid)]), '--', name]
    if (absent) await change(scene, ['groupdel', '--', name])
    else if (exists) await change(scene, ['groupmod', ...words])
    else await change(scene, ['groupadd', ...(system ? ['-r'] : []), ...words])
  },
})

async function change(scene: Scene, argv: readonly string[], input?: string): Promise<void> {
  await scene.remote.runOk({ argv, input, timeoutMs: scene.commandTimeoutMs })
}

function isGroup(text: string): string | undefined {
  return /^\d{1,10}$/.test(text) ? undefined : refuseAccountName(text)
}

function isField(text: string): string | undefined {
  return text.includes(':') ? `'${text}' must have no colon` : isOneLine(text)
}

/** Source: crypt(5). */
function isPasswordHash(text: string): string | undefined {
  return /^\$[a-z0-9]+\$[!-9;-~]+$/i.test(text)
    ? undefined
    : 'a password is given as a hash, such as `$y$…`, never as it is typed; `openssl passwd -6` makes one'
}
