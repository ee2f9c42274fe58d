import type { BaseKey } from '../../recipes/base-schema.ts'
import { keyringPackageOf } from './choose-sources.ts'
import type { FileSystemType } from './tree-builder.ts'

interface Selection {
  kernel: string
  /** What brings the network up in the way the distribution's cloud-init writes it. */
  network: readonly string[]
}

const SELECTIONS: Readonly<Record<BaseKey['distro'], Selection>> = {
  debian: { kernel: 'linux-image-cloud-amd64', network: ['ifupdown', 'isc-dhcp-client'] },
  ubuntu: { kernel: 'linux-image-virtual', network: ['netplan.io', 'systemd-resolved'] },
}

/** What every machine needs to boot, whatever the distribution. */
const MACHINE = [
  'systemd-sysv',
  'udev',
  'dbus',
  'libpam-systemd',
  'initramfs-tools',
  'zstd',
  'grub2-common',
  'iproute2',
  'netbase',
  'ca-certificates',
]

const CLOUD = ['cloud-init', 'cloud-guest-utils']

const FILE_SYSTEM_TOOLS: Readonly<Record<FileSystemType, string>> = {
  ext4: 'e2fsprogs',
  xfs: 'xfsprogs',
  btrfs: 'btrfs-progs',
}

/** The packages of a base beside those of its variant: what a machine needs, then what the recipe names. */
export function choosePackages(base: BaseKey, fileSystem: FileSystemType): string[] {
  const { distro, boot = ['bios', 'uefi'], cloud_init: cloudInit = true } = base
  const { kernel, network } = SELECTIONS[distro]
  return [
    ...new Set([
      base.kernel ?? kernel,
      ...MACHINE,
      ...(boot.includes('bios') ? ['grub-pc-bin'] : []),
      ...(boot.includes('uefi') ? ['grub-efi-amd64-bin'] : []),
      FILE_SYSTEM_TOOLS[fileSystem],
      keyringPackageOf(distro),
      ...network,
      ...(cloudInit ? CLOUD : []),
      ...(base.packages ?? []),
    ]),
  ]
}
