import type { Facts } from '../remotes/facts.ts'
import type { OsName } from './template.ts'

/** Source: Oz's names of systems, and those of the newer ones in the same manner. */
const NAMES: Readonly<Record<string, string>> = {
  debian: 'Debian',
  ubuntu: 'Ubuntu',
  fedora: 'Fedora',
  rhel: 'RHEL',
  centos: 'CentOS',
  rocky: 'Rocky',
  almalinux: 'AlmaLinux',
  scientific: 'ScientificLinux',
  ol: 'OEL',
  opensuse: 'OpenSUSE',
  'opensuse-leap': 'OpenSUSE',
  'opensuse-tumbleweed': 'OpenSUSE',
  sles: 'SLES',
}

/** The system of a guest as a TDL would name it; one that TDLs have no name for keeps its own. */
export function osOfGuest({ distro, version, architecture }: Facts): OsName {
  return { name: NAMES[distro] ?? distro, version, arch: architecture }
}
