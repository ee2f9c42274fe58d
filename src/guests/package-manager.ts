/**
 * Package managers of guests: what is installed (from files where the truth is in files) and how
 * more is installed. One object for each family; `packageManagerOf` picks it by the guest's facts.
 * The `package` validator, manifests and the bill of materials are written against this contract.
 */
import { Failure } from '../base/failure.ts'
import type { Context } from '../base/context.ts'
import type { Remote } from '../remotes/remote.ts'

/** A package as a recipe asks for it. */
export interface PackageSpec {
  /** `nginx`; `libc6:i386` (dpkg) or `glibc.i686` (rpm) for one architecture. */
  name: string
  /** Exactly this version; `*` stands for anything: `1.24.*`. Any version when left out. */
  version?: string | undefined
}

export interface InstalledPackage {
  name: string
  /** Whole: with epoch and release, as the package manager prints it. */
  version: string
  architecture: string
  /** Names it answers to beside its own. */
  provides: readonly string[]
  /** Source package, where it has another name. */
  source?: string
  maintainer?: string
  homepage?: string
  license?: string
}

export interface InstallOptions {
  /** For each command. */
  timeoutMs: number
  onOutput: (text: string) => void
  context: Context
  /** Where downloads are kept between runs. */
  cacheDir: string
}

export interface PackageManager {
  readonly name: 'apt' | 'dnf' | 'zypper'
  /** Why `spec` can never name a package of this family; undefined if it can. */
  refuses(spec: PackageSpec): string | undefined
  /** All that is installed, sorted by name. Reads files; runs a command only where it must. */
  readInstalled(remote: Remote): Promise<readonly InstalledPackage[]>
  /** Whether this package is what was asked for. */
  satisfies(installed: InstalledPackage, spec: PackageSpec): boolean
  /**
   * Installs all of them in one transaction, refreshing the lists of packages where that is needed.
   * Fails with STEP_FAILED (no such package or version), DOWNLOAD_FAILED (a mirror does not
   * answer), NO_SPACE (in the guest), COMMAND_FAILED.
   */
  install(remote: Remote, specs: readonly PackageSpec[], options: InstallOptions): Promise<void>
}

/** Whether a version is the wanted one, in which `*` stands for any text. */
export function isVersion(version: string, wanted: string): boolean {
  if (!wanted.includes('*')) return version === wanted
  const parts = wanted.split('*')
  let at = 0
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1
    const found = last ? version.length - part.length : version.indexOf(part, at)
    if (found < at || (index === 0 && found !== 0) || !version.startsWith(part, found)) return false
    at = found + part.length
  }
  return true
}

/** Sentences by which package managers say what went wrong. `$1` is what they name. */
export interface Complaint {
  pattern: RegExp
  code: 'STEP_FAILED' | 'DOWNLOAD_FAILED' | 'NO_SPACE'
  message: string
}

const COMPLAINTS: readonly Complaint[] = [
  {
    pattern:
      /No space left on device|You don't have enough free space|needs? [\d.]+ ?[KMG]i?B (?:more )?(?:space )?on the/,
    code: 'NO_SPACE',
    message: 'no space left in the guest',
  },
]

/** The output of a package manager that failed, as a Failure that says why in one line. */
export function toPackageFailure(
  remote: Remote,
  program: string,
  result: { code: number; stdout: string; stderr: string },
  complaints: readonly Complaint[],
): Failure {
  const output = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-40).join('\n')
  const details = { code: result.code, output }
  for (const { pattern, code, message } of [...COMPLAINTS, ...complaints]) {
    const match = pattern.exec(`${result.stdout}\n${result.stderr}`)
    if (!match) continue
    const text = message.replaceAll('$1', match[1] ?? '').replaceAll('$2', match[2] ?? '')
    const fix = code === 'NO_SPACE' ? { fix: 'Give the image a larger disk, or install less.' } : {}
    return new Failure(code, `${remote.name}: ${text}`, { details, ...fix })
  }
  const last = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1)
  return new Failure(
    'COMMAND_FAILED',
    `${remote.name}: ${program} ended with ${result.code}: ${last || 'no output'}`,
    { details },
  )
}
