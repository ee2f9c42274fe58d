import { Failure } from '../base/failure.ts'
import type { Facts, Family } from '../remotes/facts.ts'
import { dpkg } from './dpkg.ts'
import type { PackageManager } from './package-manager.ts'
import { rpm, zypper } from './rpm.ts'

const MANAGERS: Readonly<Partial<Record<Family, PackageManager>>> = {
  debian: dpkg,
  redhat: rpm,
  suse: zypper,
}

/** The package manager of a guest. Fails with DISTRO_UNKNOWN when Ingot knows none for it. */
export function packageManagerOf(facts: Pick<Facts, 'distro' | 'family'>): PackageManager {
  const manager = facts.family === undefined ? undefined : MANAGERS[facts.family]
  if (manager) return manager
  throw new Failure(
    'DISTRO_UNKNOWN',
    `Ingot knows no package manager for '${facts.distro}'; it knows those of ${Object.keys(MANAGERS).join(', ')} and their kin`,
    { fix: 'Use a script for this distribution, behind os_case.' },
  )
}
