/** `repository`. */
import { Failure } from '../../base/failure.ts'
import type { Remote } from '../../remotes/remote.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface RepositorySpec {
  name: string
  url: string
  suites?: string[]
  components?: string[]
  architectures?: string[]
  description?: string
  key?: string
  key_source?: string
  trusted?: boolean
  absent?: boolean
}

interface RepositoryOptions extends Omit<RepositorySpec, 'key' | 'key_source'> {
  key?: Buffer
}

const words = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }))

export const repository = defineValidator<RepositorySpec, RepositoryOptions>({
  name: 'repository',
  summary: 'a repository of packages with its signing key, for apt, dnf or yum, or zypper',
  description: `The key is part of the recipe (\`key\`, or a file beside it, \`key_source\`), so that nobody on the way can put in another; it is trusted
for this repository only. \`suites\` and \`components\` are apt’s; when they are left out, the suite is the guest’s codename and the component \`main\`.`,
  example: `
- repository:
    name: internal
    url: https://packages.example.org/debian
    suites: ["{{ facts.codename }}"]
    components: [main]
    trusted: true`,
  schema: Type.Object(
    {
      name: Type.String({ minLength: 1, description: 'names the files; letters, digits, - and _' }),
      url: Type.String({ minLength: 1, description: 'where it is: https, http or file' }),
      suites: words('apt: the suites, or a path that ends in /'),
      components: words('apt: the components'),
      architectures: words('apt: only for these architectures'),
      description: Type.Optional(
        Type.String({ minLength: 1, description: 'what it is, for people' }),
      ),
      key: Type.Optional(
        Type.String({ minLength: 1, description: 'the OpenPGP key, as armored text' }),
      ),
      key_source: Type.Optional(
        Type.String({ minLength: 1, description: 'a file beside the recipe that has the key' }),
      ),
      trusted: Type.Optional(
        Type.Boolean({ description: 'true: packages are taken without any signature' }),
      ),
      absent: Type.Optional(Type.Boolean({ description: 'whether it must not be there' })),
    },
    { additionalProperties: false },
  ),
  templated: true,
  verbatim: ['key'],
  load: (spec, loading) => {
    const { key, key_source, ...rest } = spec
    expectText(loading, ['name'], spec.name, isName)
    expectText(loading, ['url'], spec.url, isUrl)
    for (const name of ['suites', 'components', 'architectures'] as const)
      for (const [index, word] of (spec[name] ?? []).entries())
        expectText(loading, [name, index], word, isWord)
    expectText(loading, ['description'], spec.description, isOneLine)
    const signed = [key, key_source, spec.trusted || undefined].filter((one) => one !== undefined)
    if (!spec.absent && signed.length !== 1)
      loading.fault(
        [],
        "wanted one of 'key', 'key_source' (the key its packages are signed with) and 'trusted: true'",
      )
    const content =
      key_source === undefined
        ? key === undefined
          ? undefined
          : Buffer.from(key)
        : loading.readResource(key_source, ['key_source'])
    if (content && !isArmored(content) && (key !== undefined || (content[0] ?? 0) < 0x80))
      loading.fault(
        [key === undefined ? 'key_source' : 'key'],
        'this is no OpenPGP public key; wanted "-----BEGIN PGP PUBLIC KEY BLOCK-----" and so on',
      )
    return content ? { ...rest, key: content } : rest
  },
  title: ({ name, absent }) => (absent ? `no repository ${name}` : `repository ${name}`),
  check: async (options, scene) => {
    const differences: Difference[] = []
    for (const { path, content } of toFiles(options, scene)) {
      const found = await readIfThere(scene.remote, path)
      if (options.absent) {
        if (found) differences.push({ what: path, expected: 'nothing', found: 'a file' })
      } else if (!found?.equals(content))
        differences.push({ what: path, expected: 'as given', found: found ? 'another' : 'nothing' })
    }
    return differences
  },
  apply: async (options, scene) => {
    for (const { path, content } of toFiles(options, scene).toReversed()) {
      if (options.absent) {
        await scene.remote.remove(path)
        continue
      }
      await scene.remote.writeFile(path, content)
      // zypper asks for every key that rpm does not know, also when a file is named.
      if (scene.facts.family === 'suse' && path.startsWith(RPM_KEYS))
        await scene.remote.runOk({ argv: ['rpm', '--import', path] })
    }
  },
})

const RPM_KEYS = '/etc/pki/rpm-gpg'

interface RepositoryFile {
  path: string
  content: Buffer
}

/** What the repository is made of: its description first, then its key. Fails with DISTRO_UNKNOWN. */
function toFiles(options: RepositoryOptions, scene: Scene): RepositoryFile[] {
  const name = demandText(options.name, isName)
  demandText(options.url, isUrl)
  const { family, distro } = scene.facts
  if (family === 'debian') return toAptFiles(name, options, scene)
  if (family === 'redhat') return toRpmFiles(name, options, '/etc/yum.repos.d', '')
  if (family === 'suse') return toRpmFiles(name, options, '/etc/zypp/repos.d', 'autorefresh=1\n')
  throw new Failure('DISTRO_UNKNOWN', `Ingot cannot describe a repository for '${distro}'`)
}

/** Source: sources.list(5), "DEB822-STYLE FORMAT"; apt tells the form of a key by the file's ending. */
function toAptFiles(name: string, options: RepositoryOptions, scene: Scene): RepositoryFile[] {
  const { url, key, architectures, description } = options
  const suites = options.suites ?? [scene.facts.codename]
  const isFlat = suites.every((suite) => suite.endsWith('/'))
  const components = isFlat ? [] : (options.components ?? ['main'])
  for (const word of [...suites, ...components, ...(architectures ?? [])]) demandText(word, isWord)
  const keyPath = `/etc/apt/keyrings/${name}.${key && !isArmored(key) ? 'gpg' : 'asc'}`
  const lines = [
    ...(description === undefined ? [] : [`# ${demandText(description, isOneLine)}`]),
    'Types: deb',
    `URIs: ${url}`,
    `Suites: ${suites.join(' ')}`,
    ...(components.length > 0 ? [`Components: ${components.join(' ')}`] : []),
    ...(architectures ? [`Architectures: ${architectures.join(' ')}`] : []),
    key ? `Signed-By: ${keyPath}` : 'Trusted: yes',
  ]
  return [
    {
      path: `/etc/apt/sources.list.d/${name}.sources`,
      content: Buffer.from(`${lines.join('\n')}\n`),
    },
    ...(key ? [{ path: keyPath, content: key }] : []),
    ...(options.absent
      ? ['asc', 'gpg'].map((end) => ({
          path: `/etc/apt/keyrings/${name}.${end}`,
          content: Buffer.alloc(0),
        }))
      : []),
  ]
}

/** Source: dnf.conf(5), "REPO OPTIONS"; zypper reads the same. */
function toRpmFiles(
  name: string,
  { url, key, description, absent }: RepositoryOptions,
  directory: string,
  more: string,
): RepositoryFile[] {
  const keyPath = `${RPM_KEYS}/RPM-GPG-KEY-${name}`
  const title = demandText(description ?? name, isOneLine)
  const check = key ? `gpgcheck=1\ngpgkey=file://${keyPath}\n` : 'gpgcheck=0\n'
  const text = `[${name}]\nname=${title}\nbaseurl=${url}\nenabled=1\n${more}${check}`
  return [
    { path: `${directory}/${name}.repo`, content: Buffer.from(text) },
    ...(key || absent ? [{ path: keyPath, content: key ?? Buffer.alloc(0) }] : []),
  ]
}

async function readIfThere(remote: Remote, path: string): Promise<Buffer | undefined> {
  const content = await remote.readFile(path)
  return content && Buffer.from(content)
}

function isArmored(key: Uint8Array): boolean {
  return Buffer.from(key).toString('latin1').includes('-----BEGIN PGP PUBLIC KEY BLOCK-----')
}

function isName(name: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)
    ? undefined
    : `'${name}' cannot name a repository; wanted letters, digits, - and _`
}

function isUrl(url: string): string | undefined {
  return /^(https?|file):\/\/[!-~]+$/.test(url)
    ? undefined
    : `'${url}' cannot be the address of a repository; wanted https://…, http://… or file:///…`
}

function isWord(word: string): string | undefined {
  return /^[A-Za-z0-9.][A-Za-z0-9._+~/-]*$/.test(word)
    ? undefined
    : `'${word}' must be a single word`
}
