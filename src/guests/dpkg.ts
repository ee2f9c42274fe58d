/** dpkg and apt: Debian, Ubuntu and their kin. What is installed is read from dpkg's status file. */
import type { CommandResult, Remote } from '../remotes/remote.ts'
import {
  type Complaint,
  type InstalledPackage,
  type InstallOptions,
  isVersion,
  type PackageManager,
  type PackageSpec,
  toPackageFailure,
} from './package-manager.ts'

const STATUS_FILE = '/var/lib/dpkg/status'
const LISTS = '/var/lib/apt/lists'
const LISTS_AGE_S = 3600
/** Lists older than any of these know nothing of a repository that was added. */
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d']

/**
 * Stanzas of a control file, keys in lower case. Lines that continue a field are joined by newlines.
 * Source: deb822(5).
 */
export function parseControl(text: string): ReadonlyMap<string, string>[] {
  const stanzas: Map<string, string>[] = []
  let stanza = new Map<string, string>()
  let field = ''
  for (const line of text.split('\n')) {
    if (line.trim() === '') {
      if (stanza.size > 0) stanzas.push(stanza)
      stanza = new Map()
      field = ''
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (field !== '') stanza.set(field, `${stanza.get(field)}\n${line.slice(1)}`)
    } else if (!line.startsWith('#')) {
      const colon = line.indexOf(':')
      field = colon > 0 ? line.slice(0, colon).toLowerCase() : ''
      if (field !== '') stanza.set(field, line.slice(colon + 1).trim())
    }
  }
  return stanza.size > 0 ? [...stanzas, stanza] : stanzas
}

/**
 * Packages whose files are in place and configured. A package of a foreign architecture is called
 * `name:architecture`, as dpkg does. Removed ones whose configuration is left do not count.
 */
export function parseDpkgStatus(text: string): InstalledPackage[] {
  const stanzas = parseControl(text).filter((stanza) =>
    stanza.get('status')?.endsWith(' ok installed'),
  )
  const native = stanzas.find((stanza) => stanza.get('package') === 'dpkg')?.get('architecture')
  return stanzas
    .map((stanza) => toInstalled(stanza, native))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function toInstalled(
  stanza: ReadonlyMap<string, string>,
  native: string | undefined,
): InstalledPackage {
  const name = stanza.get('package') ?? ''
  const architecture = stanza.get('architecture') ?? ''
  const isForeign = native !== undefined && architecture !== native && architecture !== 'all'
  const source = stanza.get('source')?.split(' ')[0]
  const maintainer = stanza.get('maintainer')
  const homepage = stanza.get('homepage')
  return {
    name: isForeign ? `${name}:${architecture}` : name,
    version: stanza.get('version') ?? '',
    architecture,
    provides: namesOfRelation(stanza.get('provides') ?? ''),
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

const NOT_FOUND =
  /E: Unable to locate package|E: Version '.*' for '.*' was not found|has no installation candidate/

const COMPLAINTS: readonly Complaint[] = [
  {
    pattern: /E: Unable to locate package (\S+)/,
    code: 'STEP_FAILED',
    message: "the repositories of the guest have no package '$1'",
  },
  {
    pattern: /E: Version '(.*)' for '(.*)' was not found/,
    code: 'STEP_FAILED',
    message: "the repositories of the guest have no version '$1' of '$2'",
  },
  {
    pattern: /E: Package '(.*)' has no installation candidate/,
    code: 'STEP_FAILED',
    message: "the repositories of the guest have no package that can be installed as '$1'",
  },
  {
    pattern:
      /(Temporary failure resolving '.*?'|Could not resolve '.*?'|Could not connect to \S+|Connection timed out.*|Connection failed.*|Unable to connect to \S+|\d{3} {2}[A-Z][\w ]+ \[IP.*?\])/,
    code: 'DOWNLOAD_FAILED',
    message: 'a mirror of the guest does not answer: $1',
  },
  {
    pattern: /E: Failed to fetch (\S+)/,
    code: 'DOWNLOAD_FAILED',
    message: 'a mirror of the guest does not give $1',
  },
]

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
  const result = await runApt(remote, ['update'], options)
  if (result.code !== 0) throw toPackageFailure(remote, 'apt-get update', result, COMPLAINTS)
  // An update that changed nothing leaves no trace; this one lets the next step see that it was made.
  await remote.run({ argv: ['touch', '-c', LISTS] })
  return result
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
    const words = specs.map(toAptWord)
    const pinned = specs.some(({ version }) => version !== undefined)
    const argv = ['install', ...(pinned ? ['--allow-downgrades'] : []), '--', ...words]
    let refreshed: CommandResult | undefined
    if (!(await areListsFresh(remote, options))) refreshed = await refresh(remote, options)
    let result = await runApt(remote, argv, options)
    // Lists may lack what the mirror has, or name files that it has no more.
    const isStale = NOT_FOUND.test(result.stderr) || /404 {2}Not Found/.test(result.stderr)
    if (result.code !== 0 && refreshed === undefined && isStale) {
      refreshed = await refresh(remote, options)
      result = await runApt(remote, argv, options)
    }
    if (result.code === 0) return
    const whole = NOT_FOUND.test(result.stderr) && refreshed ? mirrorTrouble(refreshed) : undefined
    throw toPackageFailure(remote, 'apt-get install', whole ?? result, COMPLAINTS)
  },
}

/** A package may be missing only because a mirror did not answer, of which the update warned. */
function mirrorTrouble(refreshed: CommandResult): CommandResult | undefined {
  return /Failed to fetch|^Err:/m.test(`${refreshed.stdout}\n${refreshed.stderr}`)
    ? refreshed
    : undefined
}
