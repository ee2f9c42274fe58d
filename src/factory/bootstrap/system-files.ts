/** The files that make a machine of a tree of packages: fstab, GRUB's defaults, consoles, cloud-init. */
import type { BaseKey } from '../../recipes/base-schema.ts'
import { type DiskIdentity, formatFatId } from './disk-identity.ts'
import type { FileSystemType } from './tree-builder.ts'

/** Where cloud-init looks for what to do, in this order. `None` lets it go on without any. */
const DATASOURCES = ['NoCloud', 'ConfigDrive', 'OpenStack', 'Ec2', 'None']

const MOUNT_OPTIONS: Readonly<Record<FileSystemType, string>> = {
  ext4: 'defaults,errors=remount-ro',
  xfs: 'defaults',
  btrfs: 'defaults',
}

/**
 * Files by path, to be there before any package is: some scripts of packages look at them, the
 * initramfs for one takes the tools of the root file system that fstab names.
 */
export function makeSystemFiles(
  base: BaseKey,
  identity: DiskIdentity,
  fileSystem: FileSystemType,
): ReadonlyMap<string, string> {
  const { distro, boot = ['bios', 'uefi'], cloud_init: cloudInit = true } = base
  // Only ext4 has a check that is worth a place in the order of file systems.
  const fstab = [
    `UUID=${identity.rootUuid} / ${fileSystem} ${MOUNT_OPTIONS[fileSystem]} 0 ${fileSystem === 'ext4' ? 1 : 0}`,
    ...(boot.includes('uefi')
      ? [`UUID=${formatFatId(identity.espId)} /boot/efi vfat umask=0077,nofail 0 0`]
      : []),
  ]
  const files = new Map([
    ['/etc/fstab', `${fstab.join('\n')}\n`],
    ['/etc/hostname', `${distro}\n`],
    ['/etc/hosts', HOSTS.replace('NAME', distro)],
    ['/etc/default/locale', 'LANG=C.UTF-8\n'],
    ['/etc/default/grub', GRUB_DEFAULTS.replace('NAME', toTitle(distro))],
  ])
  if (cloudInit) {
    files.set('/etc/cloud/cloud.cfg.d/10_datasources.cfg', CLOUD_CONFIG)
    if (distro === 'ubuntu') files.set('/etc/cloud/cloud.cfg.d/20_apt.cfg', KEEP_SOURCES)
  }
  return files
}

const HOSTS = `127.0.0.1 localhost
127.0.1.1 NAME
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
`

const GRUB_DEFAULTS = `# Read by update-grub; run it after a change.
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=NAME
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
`

const CLOUD_CONFIG = `datasource_list: [${DATASOURCES.join(', ')}]
manage_etc_hosts: true
growpart:
  mode: auto
  devices: [/]
resize_rootfs: true
`

const KEEP_SOURCES = `apt:
  preserve_sources_list: true
`

function toTitle(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
