/** The words of mmdebstrap's command line, and what its complaints mean. */
import { Failure } from '../../base/failure.ts'
import type { RunResult } from '../../base/process.ts'
import type { BaseKey } from '../../recipes/base-schema.ts'

export interface Bootstrap {
  base: BaseKey
  packages: readonly string[]
  /** Settings of apt for the time of the build, such as `Acquire::Retries "2"`. */
  aptOptions: readonly string[]
  /** Programs called with the tree: before anything is in it, and after everything is. */
  setupHook: string
  customizeHook: string
  /** The tree. */
  root: string
  /** A file in deb822 form whose name ends in `.sources`. */
  sources: string
}

/**
 * What of its own tidying is left undone: package lists and archives are of use to the recipe, and
 * /sys cannot be had without root, so nobody shall have it.
 */
const SKIPPED = ['cleanup/apt', 'essential/unlink', 'chroot/mount/sys']

/** Source: mmdebstrap(1). The mode is `root` since the launcher made the caller just that. */
export function makeMmdebstrapArgv(bootstrap: Bootstrap): string[] {
  const { base, packages, aptOptions } = bootstrap
  return [
    'mmdebstrap',
    '--mode=root',
    '--format=directory',
    `--variant=${base.variant ?? 'minbase'}`,
    `--architectures=${base.architecture ?? 'amd64'}`,
    `--include=${packages.join(',')}`,
    ...SKIPPED.map((step) => `--skip=${step}`),
    ...aptOptions.map((option) => `--aptopt=${option}`),
    `--setup-hook=${bootstrap.setupHook}`,
    `--customize-hook=${bootstrap.customizeHook}`,
    base.release,
    bootstrap.root,
    bootstrap.sources,
  ]
}

const COMPLAINTS: readonly (readonly [RegExp, 'BUILD_FAILED' | 'DOWNLOAD_FAILED' | 'NO_SPACE', string])[] =
  [
    [/No space left on device/, 'NO_SPACE', 'no space left for the tree of the guest'],
    [/E: Unable to locate package (\S+)/, 'BUILD_FAILED', "the mirror has no package '$1'"],
    [/E: Package '(\S+)' has no installation candidate/, 'BUILD_FAILED', "the mirror has no package that can be installed as '$1'"],
    [/((?:NO_PUBKEY|EXPKEYSIG|BADSIG|KEYEXPIRED) [0-9A-F]+)/, 'DOWNLOAD_FAILED', "the mirror's signature cannot be checked with the keys that were given: $1"],
    [/E: Failed to fetch (\S+)\s+(.+)/, 'DOWNLOAD_FAILED', 'the mirror does not give $1: $2'],
    [/E: The repository '(.+?)' does not have a Release file/, 'DOWNLOAD_FAILED', "the mirror has no '$1'"],
    [/(Temporary failure resolving '.*?'|Could not resolve '.*?'|Could not connect to \S+)/, 'DOWNLOAD_FAILED', 'the mirror does not answer: $1'],
    [/The following packages have unmet dependencies:\s+(.+)/, 'BUILD_FAILED', 'the packages cannot be installed together: $1'],
    [/E: (.+)/, 'BUILD_FAILED', 'mmdebstrap: $1'],
  ] // prettier-ignore

/** What went wrong, by the first complaint that is understood; the output's end is in the details. */
export function toBootstrapFailure(result: RunResult): Failure {
  const text = `${result.stdout.toString()}\n${result.stderr.toString()}`
  const output = text.trim().split('\n').slice(-20).join('\n')
  for (const [pattern, code, message] of COMPLAINTS) {
    const match = pattern.exec(text)
    if (!match) continue
    const filled = message.replaceAll(/\$(\d)/g, (_, index: string) => match[Number(index)] ?? '')
    return new Failure(code, filled, { details: { output } })
  }
  return new Failure('BUILD_FAILED', `mmdebstrap ended with ${result.code}`, {
    details: { output },
  })
}
