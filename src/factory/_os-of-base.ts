/** The system that a recipe's `base` bootstraps as TDL would name it, and the other way round. */
import type { Recipe } from '../recipes/recipe.ts'
import type { OsName } from './template.ts'

/** Source: Debian's and Ubuntu's lists of releases. */
const VERSIONS: Readonly<Record<string, string>> = {
  buster: '10',
  bullseye: '11',
  bookworm: '12',
  trixie: '13',
  forky: '14',
  bionic: '18.04',
  focal: '20.04',
  jammy: '22.04',
  noble: '24.04',
  questing: '25.10',
  resolute: '26.04',
}

const NAMES = { debian: 'Debian', ubuntu: 'Ubuntu' } as const

/** Undefined without `base`. A release that is not known keeps its code name. */
export function osOfBase(base: Recipe['base']): OsName | undefined {
  if (base === undefined) return undefined
  const { distro, release } = base
  return { name: NAMES[distro], version: VERSIONS[release] ?? release, arch: 'x86_64' }
}

/**
 * Distribution and code name of a system: `debian` and `bookworm` for Debian 12 or 12.5. A version may be a code name itself.
 * Undefined for what is neither Debian nor Ubuntu, and for releases that are not known.
 */
export function releaseOf({
  name,
  version,
}: OsName): { distro: 'debian' | 'ubuntu'; release: string } | undefined {
  const distro = (['debian', 'ubuntu'] as const).find((one) => one === name.toLowerCase())
  if (distro === undefined) return undefined
  const wanted = version.toLowerCase()
  if (/^[a-z][a-z0-9-]*$/.test(wanted)) return { distro, release: wanted }
  const parts = wanted.split('.').slice(0, distro === 'debian' ? 1 : 2)
  const known = Object.entries(VERSIONS).find(([, one]) => one === parts.join('.'))
  return known && { distro, release: known[0] }
}
