/** dpkg and apt: Debian, Ubuntu and their kin. What is installed is read from dpkg's status file. */
import type { CommandResult, Remote } from '../remotes/remote.ts'
import { isNotFound, toAptFailure } from './_apt-complaints.ts'
import { canFetchPackages, fetchPackages, installFetched } from './fetch-packages.ts'
import {
  type InstalledPackage,
  type InstallOptions,
  isVersion,
  type PackageManager,
  type PackageSpec,
} from './package-manager.ts'

const STATUS_FILE = '/var/lib/dpkg/status'
const LISTS = '/var/lib/apt/lists'
const LISTS_AGE_S = 3600
/** Lists older than any of these know nothing of a repository that was added. */
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d']

/**
 * Packages whose files are in place and configured. A package of a foreign architecture is called
 * `name:architecture`, as dpkg does. Removed ones whose configuration is left do not count.
 */
export function parseDpkgStatus(text: string): InstalledPackage[] {
  // Only what is asked for is taken apart: a status file has a hundred thousand lines.
  const stanzas = `\n${text}`
    .split(/\n(?=\n)/) // each keeps the newline in front of it
    .filter((stanza) => fieldOf(stanza, 'Status')?.endsWith(' ok installed'))
  const dpkg = stanzas.find((stanza) => fieldOf(stanza, 'Package') === 'dpkg') ?? ''
  const native = fieldOf(dpkg, 'Architecture')
  return stanzas
    .map((stanza) => toInstalled(stanza, native))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The first line of a field, as dpkg writes it. */
function fieldOf(stanza: string, name: string): string | undefined {
  const key = `\n${name}:`
  const at = stanza.indexOf(key)
  if (at < 0) return undefined
  const end = stanza.indexOf('\n', at + 1)
  return stanza.slice(at + key.length, end < 0 ? undefined : end).trim()
}

function toInstalled(stanza: string, native: string | undefined): InstalledPackage {
  const name = fieldOf(stanza, 'Package') ?? ''
  const architecture = fieldOf(stanza, 'Architecture') ?? ''
  const isForeign = native !== undefined && architecture !== native && architecture !== 'all'
  const source = fieldOf(stanza, 'Source')?.split(' ')[0]
  const maintainer = fieldOf(stanza, 'Maintainer')
  const homepage = fieldOf(stanza, 'Homepage')
  return {
    name: isForeign ? `${name}:${architecture}` : name,
    version: fieldOf(stanza, 'Version') ?? '',
    architecture,
    provides: namesOfRelation(fieldOf(stanza, 'Provides') ?? ''),
    ...(source !== undefined && source !== name && { source }),
    ...(maintainer !== undefined && { maintainer }),
    ...(homepage !== undefined && { homepage }),
  }
}

/** `mail-transport-agent, foo (= 1.2)` as two names. */
function namesOfRelation(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim().split(/[\s(]/)[0] ?? '')
    .filter((name) => name !== '')
}

const APT_ENVIRONMENT = {
  DEBIAN_FRONTEND: 'noninteractive',
  APT_LISTCHANGES_FRONTEND: 'none',
}

/** A mirror that does not answer costs a minute, not an hour; a lock that is held is waited for. */
const APT_OPTIONS = [
  'Acquire::Retries=2',
  'Acquire::http::Timeout=20',
  'Acquire::https::Timeout=20',
  'Acquire::PDiffs=false',
  'DPkg::Lock::Timeout=120',
  'Dpkg::Options::=--force-confold',
  'Dpkg::Use-Pty=0',
]
const APT_GET = ['apt-get', '-q', '-y', ...APT_OPTIONS.flatMap((option) => ['-o', option])]

async function runApt(
  remote: Remote,
  words: readonly string[],
  options: InstallOptions,
): Promise<CommandResult> {
  return await remote.run({
    argv: [...APT_GET, ...words],
    env: APT_ENVIRONMENT,
    timeoutMs: options.timeoutMs,
    onOutput: options.onOutput,
  })
}

/** Brings the lists of packages up to date; the complaints of mirrors, which apt only warns of. */
async function refresh(remote: Remote, options: InstallOptions): Promise<CommandResult> {
  const result = await runApt(remote, [...(await withoutTranslations(remote)), 'update'], options)
  if (result.code !== 0) throw toAptFailure(remote, 'apt-get update', result)
  // An update that changed nothing leaves no trace; this one lets the next step see that it was made.
  await remote.run({ argv: ['touch', '-c', LISTS] })
  return result
}

/** Descriptions in other words are a third of the lists, and nobody reads them here. Who has them keeps them. */
async function withoutTranslations(remote: Remote): Promise<string[]> {
  const names = (await remote.list(LISTS)) ?? []
  return names.some((name) => name.includes('_Translation-'))
    ? []
    : ['-o', 'Acquire::Languages=none']
}

async function areListsFresh(remote: Remote, options: InstallOptions): Promise<boolean> {
  const names = (await remote.list(LISTS)) ?? []
  if (!names.some((name) => /_Packages(\.\w+)?$/.test(name))) return false
  const made = (await remote.stat(LISTS))?.mtime ?? 0
  for (const source of SOURCES) if (((await remote.stat(source))?.mtime ?? 0) > made) return false
  return options.context.now().getTime() / 1000 - made < LISTS_AGE_S
}

/** `name=version`, as apt takes it. */
function toAptWord({ name, version }: PackageSpec): string {
  return version === undefined ? name : `${name}=${version}`
}

export const dpkg: PackageManager = {
  name: 'apt',

  // Source: Debian policy 5.6.7 and 5.6.12. apt takes `name-` as an order to remove.
  refuses: ({ name, version }) => {
    if (!/^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?$/.test(name) || name.endsWith('-'))
      return `'${name}' cannot be the name of a Debian package`
    if (version !== undefined && !/^[A-Za-z0-9][A-Za-z0-9.+~:*-]*$/.test(version))
      return `'${version}' cannot be the version of a Debian package`
    return undefined
  },

  readInstalled: async (remote) => parseDpkgStatus((await remote.readText(STATUS_FILE)) ?? ''),

  satisfies: (installed, { name, version }) => {
    const isNamed =
      installed.name === name || `${installed.name}:${installed.architecture}` === name
    if (version !== undefined) return isNamed && isVersion(installed.version, version)
    return isNamed || installed.provides.includes(name)
  },

  install: async (remote, specs, options) => {
    if (await canFetchPackages(remote)) {
      const fetched = await fetchPackages(remote, specs, options)
      if (fetched) return await installFetched(remote, fetched, options)
    }
    const words = specs.map(toAptWord)
    const pinned = specs.some(({ version }) => version !== undefined)
    const argv = ['install', ...(pinned ? ['--allow-downgrades'] : []), '--', ...words]
    let refreshed: CommandResult | undefined
    if (!(await areListsFresh(remote, options))) refreshed = await refresh(remote, options)
    let result = await runApt(remote, argv, options)
    // Lists may lack what the mirror has, or name files that it has no more.
    const isStale = isNotFound(result) || /404 {2}Not Found/.test(result.stderr)
    if (result.code !== 0 && refreshed === undefined && isStale) {
      refreshed = await refresh(remote, options)
      result = await runApt(remote, argv, options)
    }
    if (result.code !== 0) throw toAptFailure(remote, 'apt-get install', result, refreshed)
  },
}
