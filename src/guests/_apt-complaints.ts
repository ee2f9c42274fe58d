/** What apt says when it cannot, on this host or in a guest, and what that means. */
import type { Failure } from '../base/failure.ts'
import type { Remote } from '../remotes/remote.ts'
import { type Complaint, toPackageFailure } from './package-manager.ts'

interface AptResult {
  code: number
  stdout: string
  stderr: string
}

const NOT_FOUND =
  /E: Unable to locate package|E: Version '.*' for '.*' was not found|has no installation candidate/

/** Whether lists of packages do not have what was asked for. */
export function isNotFound({ code, stderr }: AptResult): boolean {
  return code !== 0 && NOT_FOUND.test(stderr)
}

/** Whether a mirror did not answer, of which an update only warns. */
export function hasMirrorTrouble({ stdout, stderr }: AptResult): boolean {
  return /Failed to fetch|^Err:/m.test(`${stdout}\n${stderr}`)
}

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
    pattern: /E: The repository '(\S+).*' (?:is not signed|does not have a Release file)/,
    code: 'DOWNLOAD_FAILED',
    message: 'the repository $1 is not signed by a key that the guest trusts for it',
  },
  {
    pattern: /E: Failed to fetch (\S+)/,
    code: 'DOWNLOAD_FAILED',
    message: 'a mirror of the guest does not give $1',
  },
]

/**
 * Why apt failed, in one line. A package may be missing only because a mirror did not answer when the
 * lists were `refreshed`. Fails with STEP_FAILED, DOWNLOAD_FAILED, NO_SPACE, COMMAND_FAILED.
 */
export function toAptFailure(
  remote: Remote,
  program: string,
  result: AptResult,
  refreshed?: AptResult,
): Failure {
  const isMirrors = isNotFound(result) && refreshed !== undefined && hasMirrorTrouble(refreshed)
  return toPackageFailure(remote, program, isMirrors ? refreshed : result, COMPLAINTS)
}
