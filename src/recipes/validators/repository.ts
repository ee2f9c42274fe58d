/** `repository`. */
import { Failure } from '../../base/failure.ts'
import type { Remote } from '../../remotes/remote.ts'
import { defineValidator, type Difference, type Loading, type Scene } from '../validator.ts'
import { demandText, expectText, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface RepositorySpec {
  name: string
  url?: string
  line?: string
  suites?: string[]
  components?: string[]
  architectures?: string[]
  description?: string
  key?: string
  key_source?: string
  trusted?: boolean
  guest_keys?: boolean
  verify_tls?: boolean
  temporary?: boolean
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
for this repository only. \`suites\` and \`components\` are apt’s; when they are left out, the suite is the guest’s codename and the component \`main\`.
A whole \`line\` of sources.list may stand in place of all of them; its options in brackets say what it is signed with. What is \`temporary\` is
there for the steps that follow and gone at the end.`,
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
      url: Type.Optional(
        Type.String({ minLength: 1, description: 'where it is: https, http, ftp or file' }),
      ),
      line: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'apt: a line of sources.list, taken as it stands',
        }),
      ),
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
      guest_keys: Type.Optional(
        Type.Boolean({
          description: 'true: it is signed with a key that the guest trusts already',
        }),
      ),
      verify_tls: Type.Optional(
        Type.Boolean({
          description: 'dnf, yum, zypper; false: whoever answers there is believed; default true',
        }),
      ),
      temporary: Type.Optional(
        Type.Boolean({ description: 'true: it is removed when the recipe has run' }),
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
    expectText(loading, ['line'], spec.line, isSourcesLine)
    lintPlace(spec, loading)
    for (const name of ['suites', 'components', 'architectures'] as const)
      for (const [index, word] of (spec[name] ?? []).entries())
        expectText(loading, [name, index], word, isWord)
    expectText(loading, ['description'], spec.description, isOneLine)
    const signed = [
      key,
      key_source,
      spec.trusted || undefined,
      spec.guest_keys || undefined,
    ].filter((one) => one !== undefined)
    if (!spec.absent && signed.length !== (spec.line === undefined ? 1 : 0))
      loading.fault(
        [],
        spec.line === undefined
          ? "wanted one of 'key', 'key_source' (the key its packages are signed with), 'guest_keys: true' and 'trusted: true'"
          : "a 'line' says itself what it is signed with: [signed-by=…] or [trusted=yes]",
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
    const isGone = options.absent || (options.temporary && scene.mode === 'test-only')
    for (const { path, content } of toFiles(options, scene)) {
      const found = await readIfThere(scene.remote, path)
      if (isGone) {
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
      if (options.temporary) scene.atEnd(() => scene.remote.remove(path))
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
  if (options.url !== undefined) demandText(options.url, isUrl)
  const { family, distro } = scene.facts
  if (options.line !== undefined) {
    if (family === 'debian') return toLineFile(name, options.line)
    throw new Failure('STEP_FAILED', `a line of sources.list is for apt, not for '${distro}'`)
  }
  if (family === 'debian') return toAptFiles(name, options, scene)
  const { verify_tls: verify = true } = options
  if (family === 'redhat')
    return toRpmFiles(name, options, '/etc/yum.repos.d', verify ? '' : 'sslverify=0\n')
  if (family === 'suse')
    return toRpmFiles(
      name,
      verify ? options : unverified(options),
      '/etc/zypp/repos.d',
      'autorefresh=1\n',
    )
  throw new Failure('DISTRO_UNKNOWN', `Ingot cannot describe a repository for '${distro}'`)
}

/** Source: sources.list(5), "ONE-LINE-STYLE FORMAT". */
function toLineFile(name: string, line: string): RepositoryFile[] {
  const content = Buffer.from(`${demandText(line, isSourcesLine)}\n`)
  return [{ path: `/etc/apt/sources.list.d/${name}.list`, content }]
}

/** Source: sources.list(5), "DEB822-STYLE FORMAT"; apt tells the form of a key by the file's ending. */
function toAptFiles(name: string, options: RepositoryOptions, scene: Scene): RepositoryFile[] {
  const { url, key, architectures, description } = options
  if (options.verify_tls === false)
    throw new Failure('STEP_FAILED', 'apt verifies TLS for all of its repositories or for none')
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
    ...(key ? [`Signed-By: ${keyPath}`] : options.guest_keys ? [] : ['Trusted: yes']),
  ]
  return [
    {
      path: `/etc/apt/sources.list.d/${name}.sources`,
      content: Buffer.from(`${lines.join('\n')}\n`),
    },
    ...(key ? [{ path: keyPath, content: key }] : []),
    ...(options.absent
      ? [`sources.list.d/${name}.list`, `keyrings/${name}.asc`, `keyrings/${name}.gpg`].map(
          (end) => ({ path: `/etc/apt/${end}`, content: Buffer.alloc(0) }),
        )
      : []),
  ]
}

/** Source: zypper(8), "Repository URIs". */
function unverified(options: RepositoryOptions): RepositoryOptions {
  const { url = '' } = options
  return { ...options, url: `${url}${url.includes('?') ? '&' : '?'}ssl_verify=no` }
}

/** Source: dnf.conf(5), "REPO OPTIONS"; zypper reads the same. */
function toRpmFiles(
  name: string,
  options: RepositoryOptions,
  directory: string,
  more: string,
): RepositoryFile[] {
  const { url, key, description, absent } = options
  const keyPath = `${RPM_KEYS}/RPM-GPG-KEY-${name}`
  const title = demandText(description ?? name, isOneLine)
  const check = key
    ? `gpgcheck=1\ngpgkey=file://${keyPath}\n`
    : `gpgcheck=${options.guest_keys ? 1 : 0}\n`
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

function lintPlace(
  { url, line, suites, components, absent }: RepositorySpec,
  loading: Loading,
): void {
  if (!absent && (url === undefined) === (line === undefined))
    loading.fault([], "wanted 'url' or 'line', which say where it is, and not both")
  if (line !== undefined && (suites ?? components) !== undefined)
    loading.fault(['line'], "a 'line' has its suites and components in itself")
}

function isSourcesLine(line: string): string | undefined {
  return /^deb(-src)?\s+(\[[^\]]*\]\s+)?\S+\s+\S/.test(line)
    ? isOneLine(line)
    : `'${line}' is no line of sources.list; wanted such as deb https://… bookworm main`
}

function isUrl(url: string): string | undefined {
  return /^(https?|ftp|file):\/\/[!-~]+$/.test(url)
    ? undefined
    : `'${url}' cannot be the address of a repository; wanted https://…, http://…, ftp://… or file:///…`
}

function isWord(word: string): string | undefined {
  return /^[A-Za-z0-9.][A-Za-z0-9._+~/-]*$/.test(word)
    ? undefined
    : `'${word}' must be a single word`
}
