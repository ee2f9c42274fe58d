/**
 * What is known of operating systems' own installers: where an install tree or a medium has kernel and initrd, which
 * answer file it takes and how it is told of it. A table of facts; new releases of a system need no new line as long as
 * they keep to the ways of the last one.
 */
import { Failure } from '../../base/failure.ts'
import type { OsName } from '../template.ts'
import type { AnswerWay } from './installer-options.ts'

export type AnswerKind = 'preseed' | 'kickstart' | 'autoinstall' | 'autoyast' | 'unattend'

/** Kernel and initrd, relative to what they are looked for in. */
export interface BootPaths {
  readonly kernel: string
  readonly initrd: string
}

export interface InstallSystem {
  /** `Debian`, for people. */
  readonly name: string
  readonly answer: AnswerKind
  /** The first one is taken unless another is asked for. */
  readonly ways: readonly AnswerWay[]
  /** In an install tree, below the template's URL; several: the first one that is there. */
  tree?(os: OsName, url: string): readonly BootPaths[]
  /** On a medium; left out: the medium itself is booted. */
  readonly medium?: readonly BootPaths[]
  /** Needed by the installer, in MiB. */
  readonly memory: number
  /** Old systems, and those without drivers of virtio. */
  readonly bus?: 'sata' | 'ide'
  readonly nic?: 'e1000e' | 'e1000' | 'rtl8139'
}

interface Row extends InstallSystem {
  readonly names: RegExp
  readonly from?: string
  readonly to?: string
}

const DEBIAN_CODENAMES: Readonly<Record<string, string>> = {
  5: 'lenny',
  6: 'squeeze',
  7: 'wheezy',
  8: 'jessie',
  9: 'stretch',
  10: 'buster',
  11: 'bullseye',
  12: 'bookworm',
  13: 'trixie',
  14: 'forky',
}
const UBUNTU_CODENAMES: Readonly<Record<string, string>> = {
  '10.04': 'lucid',
  '12.04': 'precise',
  '14.04': 'trusty',
  '16.04': 'xenial',
  '18.04': 'bionic',
  '18.10': 'cosmic',
  '20.04': 'focal',
}

/** Within `names`, by version from `from` (included) to `to` (not included). Source: the systems' own trees and media. */
const ROWS: readonly Row[] = [
  {
    name: 'Debian',
    names: /^Debian$/i,
    answer: 'preseed',
    ways: ['initrd', 'http'],
    tree: (os, url) =>
      netboot(os, url, DEBIAN_CODENAMES[os.version.split('.')[0] ?? ''], 'debian-installer', ''),
    medium: [
      { kernel: 'install.amd/vmlinuz', initrd: 'install.amd/initrd.gz' },
      { kernel: 'install.386/vmlinuz', initrd: 'install.386/initrd.gz' },
    ],
    memory: 1280,
  },
  {
    name: 'Ubuntu',
    names: /^Ubuntu$/i,
    to: '20.05',
    answer: 'preseed',
    ways: ['initrd', 'http'],
    tree: (os, url) =>
      netboot(
        os,
        url,
        UBUNTU_CODENAMES[os.version],
        'ubuntu-installer',
        os.version.startsWith('20.') ? 'legacy-' : '',
      ),
    medium: [
      { kernel: 'install/vmlinuz', initrd: 'install/initrd.gz' },
      {
        kernel: 'install/netboot/ubuntu-installer/amd64/linux',
        initrd: 'install/netboot/ubuntu-installer/amd64/initrd.gz',
      },
    ],
    memory: 1024,
  },
  {
    name: 'Ubuntu (autoinstall)',
    names: /^Ubuntu$/i,
    from: '20.05',
    answer: 'autoinstall',
    ways: ['http', 'disc'],
    medium: [{ kernel: 'casper/vmlinuz', initrd: 'casper/initrd' }],
    memory: 3072,
  },
  {
    name: 'Fedora',
    names: /^Fedora(?:Core)?$/i,
    answer: 'kickstart',
    ways: ['initrd', 'http', 'disc'],
    tree: () => [{ kernel: 'images/pxeboot/vmlinuz', initrd: 'images/pxeboot/initrd.img' }],
    medium: [{ kernel: 'images/pxeboot/vmlinuz', initrd: 'images/pxeboot/initrd.img' }],
    memory: 3072,
  },
  {
    name: 'Red Hat Enterprise Linux and its kin',
    names:
      /^(?:RHEL|CentOS|CentOS-Stream|Rocky|AlmaLinux|Alma|ScientificLinux|OEL|OracleLinux)(?:-\d+)?$/i,
    answer: 'kickstart',
    ways: ['initrd', 'http', 'disc'],
    tree: () => [{ kernel: 'images/pxeboot/vmlinuz', initrd: 'images/pxeboot/initrd.img' }],
    medium: [
      { kernel: 'images/pxeboot/vmlinuz', initrd: 'images/pxeboot/initrd.img' },
      { kernel: 'isolinux/vmlinuz', initrd: 'isolinux/initrd.img' },
    ],
    memory: 3072,
  },
  {
    name: 'openSUSE and SUSE Linux Enterprise',
    names: /^(?:openSUSE|SLES|SLED|SLE)(?:-\d+)?$/i,
    answer: 'autoyast',
    ways: ['initrd', 'http'],
    tree: ({ arch }) => [loader(arch)],
    medium: [loader('x86_64'), loader('i386')],
    memory: 2048,
  },
  {
    name: 'Windows',
    names: /^Windows$/i,
    answer: 'unattend',
    ways: ['disc'],
    memory: 4096,
    bus: 'sata',
    nic: 'e1000e',
  },
]

/**
 * What is known of a system's installer. Fails with TEMPLATE_INVALID where nothing is, or for an architecture that
 * no machine of this host has.
 */
export function findInstallSystem(os: OsName): InstallSystem {
  if (os.arch !== 'x86_64' && os.arch !== 'i386')
    throw new Failure('TEMPLATE_INVALID', `os/arch: machines here are x86_64, not ${os.arch}`, {
      fix: 'Use the builder nova on a cloud that has such machines.',
    })
  const row = ROWS.find(
    ({ names, from, to }) =>
      names.test(os.name) &&
      (from === undefined || compareVersions(os.version, from) >= 0) &&
      (to === undefined || compareVersions(os.version, to) < 0),
  )
  if (row !== undefined) return row
  throw new Failure('TEMPLATE_INVALID', `os/name: no installer is known for '${os.name}'`, {
    details: { known: [...new Set(ROWS.map(({ name }) => name))] },
  })
}

/** Numbers by their value, part by part. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[.\-SP]+/i).map(Number))
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0)
    if (difference !== 0 && !Number.isNaN(difference)) return difference
  }
  return 0
}

function netboot(
  { arch }: OsName,
  url: string,
  codename: string | undefined,
  directory: string,
  legacy: string,
): BootPaths[] {
  const debianArch = arch === 'x86_64' ? 'amd64' : 'i386'
  const suite = /\/dists\/[\w.-]+\/?$/.test(url) ? '' : `dists/${codename ?? 'stable'}/`
  const images = `${suite}main/installer-${debianArch}/current/${legacy}images/netboot/${directory}/${debianArch}`
  return [{ kernel: `${images}/linux`, initrd: `${images}/initrd.gz` }]
}

function loader(arch: string): BootPaths {
  return { kernel: `boot/${arch}/loader/linux`, initrd: `boot/${arch}/loader/initrd` }
}
