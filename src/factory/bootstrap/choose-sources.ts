/**
 * Where the packages of a Debian or Ubuntu release come from: the mirror that a recipe names, else
 * the one this host's apt uses for the same release or another of the same distribution.
 */
import { existsSync } from 'node:fs'
import { Failure } from '../../base/failure.ts'
import type { BaseKey } from '../../recipes/base-schema.ts'
import type { AptSource, HostApt } from '../../guests/apt-sources.ts'

/** Sources of a build: the main archive with its updates first, then security. */
export interface BuildSources {
  sources: readonly AptSource[]
  /** A key ring's path, or an armoured key. */
  keys: string
  /** The archive's usual keys, which every guest has in this place. */
  guestKeyring: string
}

interface Archive {
  keyring: string
  keyringPackage: string
  components: readonly string[]
  /** Releases that get neither updates nor security fixes of their own. */
  rolling: readonly string[]
}

// Source: the packages debian-archive-keyring and ubuntu-keyring.
const ARCHIVES: Readonly<Record<BaseKey['distro'], Archive>> = {
  debian: {
    keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
    keyringPackage: 'debian-archive-keyring',
    components: ['main'],
    rolling: ['sid', 'unstable', 'experimental'],
  },
  ubuntu: {
    keyring: '/usr/share/keyrings/ubuntu-archive-keyring.gpg',
    keyringPackage: 'ubuntu-keyring',
    components: ['main', 'universe'],
    rolling: [],
  },
}

/** The package that brings the distribution's keys into a guest. */
export function keyringPackageOf(distro: BaseKey['distro']): string {
  return ARCHIVES[distro].keyringPackage
}

/**
 * The sources to build from. Fails with BUILD_FAILED when neither recipe nor host names a mirror, or
 * no keys of the archive are here.
 */
export function chooseSources(
  base: BaseKey,
  host: HostApt,
  isFile: (path: string) => boolean = existsSync,
): BuildSources {
  const { distro, release } = base
  const archive = ARCHIVES[distro]
  const hosts = findHostSource(base, host)
  const mirror = base.mirror ?? hosts?.uris[0]
  if (mirror === undefined)
    throw new Failure(
      'BUILD_FAILED',
      `no mirror for ${distro} ${release}: this host's apt is not configured for ${distro}`,
      { fix: 'Name a mirror in the recipe (base.mirror) and a file with its keys (base.keyring).' },
    )
  const keys = base.keyring ?? hosts?.signedBy ?? archive.keyring
  if (keys.startsWith('/') && !isFile(keys))
    throw new Failure('BUILD_FAILED', `no keys for ${distro}: there is no file ${keys}`, {
      fix: `Install ${archive.keyringPackage}, or name a file with the keys in the recipe (base.keyring).`,
    })
  const components = base.components ?? archive.components
  const one = (uri: string, suites: string[]) => ({
    uris: [uri],
    suites,
    components,
    signedBy: keys,
  })
  if (archive.rolling.includes(release))
    return { sources: [one(mirror, [release])], keys, guestKeyring: archive.keyring }
  const security = chooseSecurity(base, host, mirror)
  const sources =
    security === mirror
      ? [one(mirror, [release, `${release}-updates`, `${release}-security`])]
      : [
          one(mirror, [release, `${release}-updates`]),
          ...(security === undefined ? [] : [one(security, [`${release}-security`])]),
        ]
  return { sources, keys, guestKeyring: archive.keyring }
}

/**
 * This host's source of the release, or of its own release when both are of one distribution. Other
 * people's archives use the same suite names; the distribution's own is known by its updates, or by
 * its path.
 */
function findHostSource({ distro, release }: BaseKey, host: HostApt): AptSource | undefined {
  const has = (suite: string, uri: string | undefined) =>
    host.sources.some(({ suites, uris }) => suites.includes(suite) && uris[0] === uri)
  const of = (suite: string) => {
    const found = host.sources.filter(({ suites }) => suites.includes(suite))
    return (
      found.find(({ uris }) => has(`${suite}-updates`, uris[0])) ??
      found.find(({ uris }) => uris[0]?.split('/').includes(distro))
    )
  }
  return of(release) ?? (host.distro === distro ? of(host.codename) : undefined)
}

/**
 * Where security updates are: Ubuntu's on every mirror, Debian's in an archive beside the main one.
 * Undefined when the recipe wants none or nothing can be concluded.
 */
function chooseSecurity(base: BaseKey, host: HostApt, mirror: string): string | undefined {
  if (base.security_mirror === 'none') return undefined
  if (base.security_mirror !== undefined) return base.security_mirror
  if (base.distro === 'ubuntu') return mirror
  if (base.mirror === undefined) {
    const suites = [base.release, host.codename].map((release) => `${release}-security`)
    const found = host.sources.find((source) => suites.some((one) => source.suites.includes(one)))
    if (found?.uris[0] !== undefined) return found.uris[0]
  }
  const beside = mirror.replace(/\/debian(?=\/|$)/, '/debian-security')
  return beside === mirror ? undefined : beside
}
