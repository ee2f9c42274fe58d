/**
 * A TDL as a recipe: what is done in the guest, in the order in which Oz does it. What only an installer wants to know
 * (`InstallPlan`) is not in it.
 */
import { Document, isScalar, visit } from 'yaml'
import { asLiteral } from '../../recipes/template.ts'
import { installerOf, isDebianLike } from './_systems.ts'
import type { Tdl, TdlCommand, TdlContent, TdlFile, TdlRepository } from './tdl.ts'

type Step = Readonly<Record<string, unknown>>

/** The recipe, as YAML. */
export function toRecipeText(tdl: Tdl): string {
  return writeRecipe({
    name: tdl.name,
    ...(tdl.description !== '' && { description: tdl.description }),
    validators: toSteps(tdl),
  })
}

/** Source: Oz's order of customisation. Without packages, files and commands it skips the precommands too. */
function toSteps(tdl: Tdl): readonly Step[] {
  const { repositories, packages, files, precommands, commands } = tdl
  const isEmpty = packages.length + files.length + commands.length === 0
  return [
    ...toRepositorySteps(repositories),
    ...(isEmpty ? [] : precommands.map(toCommandStep)),
    ...toPackageSteps(
      packages.map(({ name }) => name),
      tdl.os.name,
    ),
    ...files.map(toFileStep),
    ...commands.map(toCommandStep),
  ]
}

/** Their names become names of files. */
export function toRepositorySteps(repositories: readonly TdlRepository[]): readonly Step[] {
  const taken = new Set<string>()
  return repositories.map((repository) => {
    const plain = repository.name
      .replaceAll(/[^A-Za-z0-9_-]/g, '_')
      .replace(/^[_-]+/, '')
      .slice(0, 50)
    let name = plain || 'repository'
    for (let count = 2; taken.has(name); count++) name = `${plain || 'repository'}-${count}`
    taken.add(name)
    return { repository: { name, ...toRepository(repository, name) } }
  })
}

function toRepository(repository: TdlRepository, name: string): Step {
  const { url, signed, persisted, sslVerify } = repository
  const passing = persisted ? {} : { temporary: true }
  if (/^deb(-src)?\s/.test(url)) return { line: asLiteral(url), ...passing }
  return {
    url: asLiteral(url),
    ...(repository.name !== name && { description: asLiteral(repository.name) }),
    ...(signed ? { guest_keys: true } : { trusted: true }),
    ...(!sslVerify && url.startsWith('https:') && { verify_tls: false }),
    ...passing,
  }
}

/** What the validator `package` can look up; the rest (groups, files, patterns) only a package manager knows. */
const PLAIN_PACKAGE = /^[A-Za-z0-9_][A-Za-z0-9_.+:~-]*$/

export function toPackageSteps(names: readonly string[], osName: string): readonly Step[] {
  const isDebian = isDebianLike(osName)
  const plain: unknown[] = []
  const other: string[] = []
  for (const name of names) {
    const [, base, version] = /^([a-z0-9][a-z0-9+.:-]*)=(\S+)$/.exec(name) ?? []
    if (PLAIN_PACKAGE.test(name)) plain.push(name)
    else if (isDebian && base !== undefined) plain.push({ [base]: { version } })
    else other.push(name)
  }
  const words = other.map((name) => `'${name.replaceAll("'", "'\\''")}'`).join(' ')
  return [
    ...(plain.length > 0 ? [{ package: plain }] : []),
    ...(other.length > 0
      ? [
          {
            script: {
              [`install ${other.join(', ')}`]: { inline: `${installerOf(osName)} ${words}` },
            },
          },
        ]
      : []),
  ]
}

function toFileStep({ path, content }: TdlFile): Step {
  const told =
    content.type === 'url' ? { url: asLiteral(content.url) } : toContent(content, 'content')
  return { file: { path: asLiteral(path), ...told } }
}

function toCommandStep({ name, content }: TdlCommand): Step {
  return { script: { [name]: toContent(content, 'inline') } }
}

/** A text stands in the recipe as a text, if YAML can hold it unchanged. */
function toContent(content: TdlContent, key: 'content' | 'inline'): Step {
  if (content.type === 'url') return { url: content.url }
  const bytes = content.type === 'raw' ? Buffer.from(content.text) : content.bytes
  const text = bytes.toString()
  return isPlain(text) && Buffer.from(text).equals(bytes)
    ? { [key]: text }
    : { base64: bytes.toString('base64') }
}

/** Whether a text comes out of YAML as it went in. Source: YAML 1.1, 5.1 c-printable, 5.4 b-break. */
function isPlain(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return !/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffd-\uffff]|\p{Cs}/u.test(text)
}

/** A recipe's text. */
export function writeRecipe(recipe: Readonly<Record<string, unknown>>): string {
  const document = new Document(recipe, { version: '1.1' })
  visit(document, { Pair: (_, { key }) => quoteKey(key) })
  return document.toString({ lineWidth: 0, blockQuote: 'literal', directives: false })
}

/** The label of a script is what somebody called a command: `<<` is a label, too. */
function quoteKey(key: unknown): void {
  if (isScalar(key) && !/^[a-z][\w ./-]*$/i.test(String(key.value))) key.type = 'QUOTE_DOUBLE'
}
