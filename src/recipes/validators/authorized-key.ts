/** `authorized_key`. */
import { posix } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { readAccounts, refuseAccountName, type User } from '../../guests/accounts.ts'
import { dropLines, fromLines, toLines } from '../../guests/lines.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface KeyOptions {
  user: string
  key: string
  absent?: boolean
}

/** What a line of an `authorized_keys` file says. Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT". */
interface KeyLine {
  options: string
  type: string
  blob: string
}

/** The key of a line; undefined if it has none. Options may hold quoted spaces. */
export function parseKeyLine(line: string): KeyLine | undefined {
  const match =
    /^\s*(?:((?:[^\s"]|"(?:[^"\\]|\\.)*")+)\s+)?((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+)\s+([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(
      line,
    )
  if (!match || line.trimStart().startsWith('#')) return undefined
  return { options: match[1] ?? '', type: match[2] ?? '', blob: match[3] ?? '' }
}

export const authorizedKey = defineValidator<KeyOptions>({
  name: 'authorized_key',
  summary: 'an SSH key that opens a user’s account, or does not any more',
  description: `The line in \`~/.ssh/authorized_keys\`, which is made if need be, with the owner and mode that sshd asks for. The comment
behind a key is of no matter; options before it (\`from="…"\`) are. With \`absent\` every line with this key goes.`,
  example: `
- authorized_key:
    user: root
    key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd0x5wmcZrXrqzUN3j0aXoNCp6mR1FJQm3r8nFvUZ0V ops@example.org`,
  schema: Type.Object(
    {
      user: Type.String({ minLength: 1, description: 'whose account it opens' }),
      key: Type.String({ minLength: 1, description: 'the public key, as in `id_ed25519.pub`' }),
      absent: Type.Optional(Type.Boolean({ description: 'whether it must not open the account' })),
    },
    { additionalProperties: false },
  ),
  templated: true,
  load: (spec, loading) => {
    expectText(loading, ['user'], spec.user, refuseAccountName)
    expectText(loading, ['key'], spec.key, isKey)
    return spec
  },
  title: ({ user, absent }) => (absent ? `no such SSH key of ${user}` : `SSH key of ${user}`),
  check: async (options, scene) => {
    const place = await findPlace(options, scene)
    if (!place) {
      if (options.absent) return []
      return [{ what: `user ${options.user}`, expected: 'there', found: 'no such user' }]
    }
    const { wanted, lines, file } = place
    const found = lines.filter((line) => parseKeyLine(line)?.blob === wanted.blob)
    const what = `SSH key in ${file}`
    if (options.absent)
      return found.length > 0 ? [{ what, expected: 'not there', found: 'there' }] : []
    if (found.length !== 1 || parseKeyLine(found[0] ?? '')?.options !== wanted.options)
      return [
        {
          what,
          expected: wanted.options === '' ? 'there' : `there, with ${wanted.options}`,
          found:
            found.length > 1
              ? `there ${found.length} times`
              : found.length === 1
                ? 'there, with other options'
                : 'not there',
        },
      ]
    return await compareOwner(place, scene)
  },
  apply: async (options, scene) => {
    const { remote } = scene
    const place = await findPlace(options, scene)
    if (!place) throw new Failure('STEP_FAILED', `the guest has no user '${options.user}'`)
    const { wanted, lines, file, directory, owner } = place
    await refuseLinks([directory, file], scene)
    const others = dropLines(fromLines(lines), (line) => parseKeyLine(line)?.blob === wanted.blob)
    const { uid, gid } = owner
    if (!options.absent) {
      await remote.makeDirectory(directory)
      await remote.setAttributes(directory, { mode: 0o700, uid, gid })
    }
    const text = options.absent ? others : `${others}${options.key.trim()}\n`
    await remote.writeFile(file, text, { mode: 0o600, uid, gid })
  },
})

interface Place {
  wanted: KeyLine
  owner: User
  directory: string
  file: string
  lines: readonly string[]
}

/** Undefined if the guest has no such user. */
async function findPlace(options: KeyOptions, { remote }: Scene): Promise<Place | undefined> {
  const name = demandText(options.user, refuseAccountName)
  const wanted = parseKeyLine(demandText(options.key.trim(), isKey))
  const owner = (await readAccounts(remote)).users.find((one) => one.name === name)
  if (!owner || !wanted) return undefined
  if (!owner.home.startsWith('/'))
    throw new Failure('STEP_FAILED', `user ${name} has no home directory`)
  const directory = posix.join(owner.home, '.ssh')
  const file = posix.join(directory, 'authorized_keys')
  return { wanted, owner, directory, file, lines: toLines((await remote.readText(file)) ?? '') }
}

/** Source: sshd_config(5), StrictModes: others must not be able to write. */
async function compareOwner(place: Place, { remote }: Scene): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const path of [place.directory, place.file]) {
    const stat = await remote.stat(path)
    if (stat && stat.uid !== place.owner.uid)
      differences.push({
        what: `owner of ${path}`,
        expected: String(place.owner.uid),
        found: String(stat.uid),
      })
    if (stat && (stat.mode & 0o022) !== 0)
      differences.push({
        what: `mode of ${path}`,
        expected: 'not writable for others',
        found: `0${stat.mode.toString(8)}`,
      })
  }
  return differences
}

/** The user owns this directory: a link in it must not make root write elsewhere. */
async function refuseLinks(paths: readonly string[], { remote }: Scene): Promise<void> {
  for (const path of paths) {
    const stat = await remote.stat(path)
    if (stat?.type === 'link')
      throw new Failure(
        'STEP_FAILED',
        `${path} is a link to ${stat.target}; keys are not written there`,
      )
  }
}

function isKey(text: string): string | undefined {
  if (isOneLine(text.trim()) === undefined && parseKeyLine(text)) return undefined
  return 'not an SSH public key; wanted one line such as `ssh-ed25519 AAAA… comment`'
}
