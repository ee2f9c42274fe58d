/** rpm with dnf or yum: RHEL and its kin, Fedora, Amazon. With zypper: SUSE. */
import { Failure } from '../base/failure.ts'
import type { CommandResult, Remote } from '../remotes/remote.ts'
import { readRpmDatabase } from './_rpm-database.ts'
import { toRpmPackage } from './_rpm-header.ts'
import {
  type Complaint,
  type InstalledPackage,
  type InstallOptions,
  isVersion,
  type PackageManager,
  type PackageSpec,
  toPackageFailure,
} from './package-manager.ts'

const FIELDS = [
  'NAME',
  'EPOCHNUM',
  'VERSION',
  'RELEASE',
  'ARCH',
  'SOURCERPM',
  'VENDOR',
  'LICENSE',
  'URL',
]
/** One record for each package: fields, then what it provides; control characters part them. */
const QUERY = `${FIELDS.map((field) => `%{${field}}`).join('\\x1f')}\\x1f[%{PROVIDENAME}\\x1e]\\n`
  .replaceAll('\\x1f', '\x1f')
  .replaceAll('\\x1e', '\x1e')

async function readInstalled(remote: Remote): Promise<InstalledPackage[]> {
  const packages =
    (await readRpmDatabase(remote)) ??
    parseRpmQuery(await remote.runOk({ argv: ['rpm', '-qa', '--qf', QUERY] }))
  return packages.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Packages as `rpm -qa` prints them with our query. */
export function parseRpmQuery(text: string): InstalledPackage[] {
  return text.split('\n').flatMap((line) => {
    const [name, epoch, version, release, architecture, source, vendor, license, url, provides] =
      line.split('\x1f')
    if (!name || name === 'gpg-pubkey' || provides === undefined) return []
    return toRpmPackage({
      name,
      version: `${epoch === '0' || epoch === undefined ? '' : `${epoch}:`}${version}-${release}`,
      architecture,
      source,
      vendor,
      license,
      url,
      provides: provides.split('\x1e').filter((one) => one !== ''),
    })
  })
}

/**
 * Whether `version` (`1:2.3-4.el9`) is the wanted one, which may leave out epoch and release.
 * Source: `rpm -q NAME-VERSION[-RELEASE]`, as Sahara asks.
 */
export function isRpmVersion(version: string, architecture: string, wanted: string): boolean {
  const bare = version.replace(/^\d+:/, '')
  return [version, bare].some((full) =>
    [full, `${full}.${architecture}`, full.replace(/-[^-]*$/, '')].some((one) =>
      isVersion(one, wanted),
    ),
  )
}

function satisfies(installed: InstalledPackage, { name, version }: PackageSpec): boolean {
  const isNamed = installed.name === name || `${installed.name}.${installed.architecture}` === name
  if (version !== undefined)
    return isNamed && isRpmVersion(installed.version, installed.architecture, version)
  return isNamed || installed.provides.includes(name)
}

/** Source: rpm's spec file rules for names; a name that a program took for an option or a group. */
function refuses({ name, version }: PackageSpec): string | undefined {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.+:()/~^-]*$/.test(name))
    return `'${name}' cannot be the name of an rpm package`
  if (version !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.+~^:*-]*$/.test(version))
    return `'${version}' cannot be the version of an rpm package`
  return undefined
}

const COMPLAINTS: readonly Complaint[] = [
  {
    pattern: /(?:No match for argument: |No package |No provider of ')([^\s']+)/,
    code: 'STEP_FAILED',
    message: "the repositories of the guest have no package '$1'",
  },
  {
    pattern:
      /(Could not resolve host: \S+|Couldn't resolve host.*|Connection timed out.*|Failed to connect to \S+|Operation too slow.*)/,
    code: 'DOWNLOAD_FAILED',
    message: 'a mirror of the guest does not answer: $1',
  },
  {
    pattern:
      /(Failed to download metadata for repo '?\S+|Cannot (?:retrieve|download|find) .*(?:repo|metalink|mirror|URL).*|No more mirrors to try.*)/i,
    code: 'DOWNLOAD_FAILED',
    message: 'a repository of the guest cannot be read: $1',
  },
]

const DNF_PROGRAMS = ['dnf', 'dnf5', 'microdnf', 'yum']

async function findDnf(remote: Remote): Promise<string> {
  for (const program of DNF_PROGRAMS) if (await remote.exists(`/usr/bin/${program}`)) return program
  throw new Failure('TOOL_MISSING', `${remote.name} has none of ${DNF_PROGRAMS.join(', ')}`, {
    fix: 'Install one of them in the guest.',
  })
}

async function run(
  remote: Remote,
  argv: readonly string[],
  options: InstallOptions,
): Promise<CommandResult> {
  return await remote.run({ argv, timeoutMs: options.timeoutMs, onOutput: options.onOutput })
}

export const rpm: PackageManager = {
  name: 'dnf',
  refuses,
  readInstalled,
  satisfies,
  install: async (remote, specs, options) => {
    const program = await findDnf(remote)
    // microdnf knows no --setopt for these two; the others take a mirror that is silent for dead.
    const bounds = program === 'microdnf' ? [] : ['--setopt=timeout=20', '--setopt=retries=2']
    const words = specs.map(({ name, version }) => (version ? `${name}-${version}` : name))
    const install = [program, '-y', ...bounds, 'install', ...words]
    let result = await run(remote, install, options)
    if (result.code !== 0 && /No match for argument|Unable to find a match/.test(textOf(result))) {
      await run(remote, [program, ...bounds, 'clean', 'metadata'], options)
      result = await run(remote, install, options)
    }
    if (result.code !== 0) throw toPackageFailure(remote, `${program} install`, result, COMPLAINTS)
  },
}

/** Source: zypper(8), "EXIT CODES": 100 to 103 tell of updates, a reboot, a restart; not of errors. */
const ZYPPER_DONE: readonly number[] = [0, 100, 101, 102, 103]

export const zypper: PackageManager = {
  name: 'zypper',
  refuses,
  readInstalled,
  satisfies,
  install: async (remote, specs, options) => {
    const words = specs.map(({ name, version }) => (version ? `${name}=${version}` : name))
    const pinned = specs.some(({ version }) => version !== undefined)
    const result = await run(
      remote,
      ['zypper', '--non-interactive', 'install', '--auto-agree-with-licenses']
        .concat(pinned ? ['--oldpackage'] : [])
        .concat('--', words),
      options,
    )
    if (!ZYPPER_DONE.includes(result.code))
      throw toPackageFailure(remote, 'zypper install', result, COMPLAINTS)
  },
}

function textOf(result: CommandResult): string {
  return `${result.stdout}\n${result.stderr}`
}
