/** The system that a recipe's `base` bootstraps, as TDL would name it. */
import type { Recipe } from '../recipes/recipe.ts'
import type { OsName } from './template.ts'

/** Source: Debian's and Ubuntu's lists of releases. */
const VERSIONS: Readonly<Record<string, string>> = {
  buster: '10',
  bullseye: '11',
  bookworm: '12',
  trixie: '13',
  forky: '14',
  focal: '20.04',
  jammy: '22.04',
  noble: '24.04',
  questing: '25.10',
  resolute: '26.04',
}

const NAMES: Readonly<Record<string, string>> = { debian: 'Debian', ubuntu: 'Ubuntu' }

/** Undefined without `base`. A release that is not known keeps its code name. */
export function osOfBase(base: Recipe['base']): OsName | undefined {
  if (base === undefined) return undefined
  const { distro, release } = base
  return { name: NAMES[distro] ?? distro, version: VERSIONS[release] ?? release, arch: 'x86_64' }
}
