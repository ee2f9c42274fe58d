/** `owner`, `group` and `mode`, as files and directories have them. */
import { posix } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { gidOf, readAccounts, uidOf } from '../../guests/accounts.ts'
import type { FileAttributes, FileStat, Remote } from '../../remotes/remote.ts'
import type { Difference } from '../validator.ts'
import { Type } from '../../schema/type.ts'

export interface AttributeOptions {
  owner?: string
  group?: string
  mode?: string
}

export const attributeKeys = {
  owner: Type.Optional(Type.String({ minLength: 1, description: 'name or number of the user' })),
  group: Type.Optional(Type.String({ minLength: 1, description: 'name or number of the group' })),
  mode: Type.Optional(
    Type.String({
      pattern: '^[0-7]{3,4}$',
      title: 'an octal mode such as "0644"',
      description: 'permission bits, octal, such as "0644"',
    }),
  ),
}

/** Only what was asked for. Fails with STEP_FAILED when the guest has no such user or group. */
export async function resolveAttributes(
  remote: Remote,
  { owner, group, mode }: AttributeOptions,
): Promise<FileAttributes> {
  const attributes: FileAttributes = {}
  if (mode !== undefined) attributes.mode = Number.parseInt(mode, 8)
  if (owner === undefined && group === undefined) return attributes
  const accounts = await readAccounts(remote)
  if (owner !== undefined) attributes.uid = uidOf(accounts, owner)
  if (group !== undefined) attributes.gid = gidOf(accounts, group)
  return attributes
}

export function compareAttributes(
  path: string,
  stat: FileStat,
  wanted: FileAttributes,
): Difference[] {
  const differences: Difference[] = []
  const compare = (what: string, found: number, expected: number | undefined, base: number) => {
    if (expected === undefined || expected === found) return
    const show = (value: number) => (base === 8 ? `0${value.toString(8)}` : String(value))
    differences.push({ what: `${what} of ${path}`, expected: show(expected), found: show(found) })
  }
  compare('mode', stat.mode, wanted.mode, 8)
  compare('owner', stat.uid, wanted.uid, 10)
  compare('group', stat.gid, wanted.gid, 10)
  return differences
}

const MAX_LINKS = 40

/** Where a path leads when its last part is a link; the path itself if it is none. */
export async function followLinks(remote: Remote, path: string): Promise<string> {
  let at = path
  for (let links = 0; links < MAX_LINKS; links++) {
    const stat = await remote.stat(at)
    if (stat?.type !== 'link') return at
    at = posix.resolve(posix.dirname(at), stat.target ?? '')
  }
  throw new Failure('STEP_FAILED', `${path} is a link that leads nowhere`)
}
