/** Sources of apt as they stand in a host's configuration, in both of their forms. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../base/failure.ts'
import { parseControl } from './control-file.ts'
import { toFacts } from '../remotes/facts.ts'

/** Archives of the same release that one mirror has. */
export interface AptSource {
  uris: readonly string[]
  suites: readonly string[]
  components: readonly string[]
  /** A key ring's path, or an armoured key; undefined: apt's trusted keys. */
  signedBy: string | undefined
  /** Only for these; for all of the system when left out. */
  architectures?: readonly string[]
  /** Taken without a signature. */
  trusted?: true
  /** Taken however old the archive says it is: of snapshots. */
  unexpiring?: true
}

/** What is known of this host's apt. */
export interface HostApt {
  sources: readonly AptSource[]
  distro: string
  codename: string
}

/** Sources in apt's one-line form. What is not of the form is passed over. Source: sources.list(5). */
export function parseSourcesList(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?([^\s#]\S*)\s+([^\s#]\S*)((?:\s+[^\s#]\S*)*)/.exec(
      line,
    )
    if (match?.[2] === undefined || match[3] === undefined) return []
    const options = new Map(
      words(match[1]).map((word) => [
        word.replace(/=.*/, '').toLowerCase(),
        word.replace(/^[^=]*=/, ''),
      ]),
    )
    return [
      {
        uris: [match[2]],
        suites: [match[3]],
        components: words(match[4]),
        signedBy: options.get('signed-by'),
        ...limitsOf(
          options.get('arch')?.split(','),
          options.get('trusted'),
          options.get('check-valid-until'),
        ),
      },
    ]
  })
}

/** Sources in deb822 form, without those that are switched off. Source: sources.list(5). */
export function parseSourcesDeb822(text: string): AptSource[] {
  return parseControl(text)
    .filter((stanza) => words(stanza.get('types')).includes('deb'))
    .filter((stanza) => !/^(no|false|without|off|disable)$/i.test(stanza.get('enabled') ?? ''))
    .map((stanza) => ({
      uris: words(stanza.get('uris')),
      suites: words(stanza.get('suites')),
      components: words(stanza.get('components')),
      signedBy: toSignedBy(stanza.get('signed-by')),
      ...limitsOf(
        stanza.has('architectures') ? words(stanza.get('architectures')) : undefined,
        stanza.get('trusted'),
        stanza.get('check-valid-until'),
      ),
    }))
}

function limitsOf(
  architectures: string[] | undefined,
  trusted: string | undefined,
  checkValidUntil: string | undefined,
): Pick<AptSource, 'architectures' | 'trusted' | 'unexpiring'> {
  return {
    ...(architectures && { architectures }),
    ...(trusted?.toLowerCase() === 'yes' && { trusted: true }),
    ...(checkValidUntil?.toLowerCase() === 'no' && { unexpiring: true }),
  }
}

/** What this host's apt is configured for; empty on hosts without apt. */
export async function readHostApt(root = '/'): Promise<HostApt> {
  const directory = join(root, 'etc/apt/sources.list.d')
  const names = existsSync(directory) ? (await readdir(directory)).toSorted() : []
  const sources = parseSourcesList(await readIfThere(join(root, 'etc/apt/sources.list')))
  for (const name of names) {
    const path = join(directory, name)
    if (name.endsWith('.list')) sources.push(...parseSourcesList(await readIfThere(path)))
    if (name.endsWith('.sources')) sources.push(...parseSourcesDeb822(await readIfThere(path)))
  }
  const osRelease = await readIfThere(join(root, 'etc/os-release'))
  const { distro, codename } =
    osRelease === '' ? { distro: '', codename: '' } : toFacts(osRelease, '')
  return { sources, distro, codename }
}

/** Sources in deb822 form, to be checked with the keys in the file `signedBy`, or with apt's own. */
export function formatSources(sources: readonly AptSource[], signedBy: string | undefined): string {
  const stanzas = sources.map(
    ({ uris, suites, components, architectures, trusted, unexpiring }) =>
      [
        'Types: deb',
        `URIs: ${uris.join(' ')}`,
        `Suites: ${suites.join(' ')}`,
        ...(components.length > 0 ? [`Components: ${components.join(' ')}`] : []),
        ...(architectures ? [`Architectures: ${architectures.join(' ')}`] : []),
        ...(trusted ? ['Trusted: yes'] : []),
        ...(unexpiring ? ['Check-Valid-Until: no'] : []),
        ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy}`]),
      ].join('\n') + '\n',
  )
  return stanzas.join('\n')
}

/** The same sources without names and passwords of their mirrors. */
export function withoutPasswords(sources: readonly AptSource[]): AptSource[] {
  return sources.map((source) => ({
    ...source,
    uris: source.uris.map((uri) => uri.replace(/^(\w+:\/\/)[^/@]*@/, '$1')),
  }))
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** A path stays as it is; an armoured key loses the dots that stand for its empty lines. */
function toSignedBy(field: string | undefined): string | undefined {
  if (field === undefined || field === '') return undefined
  if (!field.includes('\n')) return words(field)[0]
  const lines = field.split('\n').map((line) => line.trim())
  return `${lines
    .map((line) => (line === '.' ? '' : line))
    .join('\n')
    .trim()}\n`
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(Boolean)
}
