/**
 * Other builders of Debian images, each told to make the same content. What a host cannot give them
 * (an FAT file system in the kernel, udev) they do without, and their names say so.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from '../src/base/process.ts'
import type { Absent, Contender } from './series.ts'

export interface Content {
  release: string
  mirror: string
  packages: readonly string[]
}

type Maker = (content: Content, directory: string) => Contender | Absent

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Every builder, as a contender that works in a directory of its own below `place`. */
export function makeBuilders(content: Content, place: string): (Contender | Absent)[] {
  const makers: Record<string, Maker> = { vmdb2: makeVmdb2, mkosi: makeMkosi, debos: makeDebos }
  return Object.entries(makers).map(([name, make]) =>
    findProgram(name) === undefined
      ? { name, why: 'it is not installed; run bench/setup' }
      : make(content, join(place, name)),
  )
}

/** In a directory made anew, with the builder's own recipe in it. */
function inDirectory(
  directory: string,
  file: string,
  text: string,
  contender: Contender,
): Contender {
  return {
    ...contender,
    cwd: directory,
    prepare: async () => {
      await mkdir(directory)
      await writeFile(join(directory, file), text)
    },
    leftovers: [directory],
  }
}

// vmdb2's own step for image files, kpartx, needs the device mapper; a loop device needs nothing.
const VMDB2_ON_LOOP = `
set -e
truncate -s 2G disk.raw
loop=$(losetup --find --partscan --show disk.raw)
trap 'losetup --detach "$loop"' EXIT
vmdb2 --image "$loop" vmdb2.yaml`

function makeVmdb2({ release, mirror, packages }: Content, directory: string): Contender {
  const text = `steps:
  - mklabel: msdos
    device: "{{ image }}"
  - mkpart: primary
    device: "{{ image }}"
    start: 1MiB
    end: 100%
    tag: root
  - mkfs: ext4
    partition: root
  - mount: root
  - debootstrap: ${release}
    mirror: ${mirror}
    target: root
    variant: minbase
    keyring: ${KEYRING}
  - apt: install
    packages: [${packages.join(', ')}]
    recommends: false
    tag: root
  - fstab: root
  - grub: bios
    tag: root
    image-dev: "{{ image }}"
`
  return inDirectory(directory, 'vmdb2.yaml', text, {
    name: 'vmdb2',
    argv: ['sh', '-c', VMDB2_ON_LOOP],
  })
}

function makeMkosi({ release, mirror, packages }: Content, directory: string): Contender {
  const hasFat = /\bvfat$/m.test(readFileSync('/proc/filesystems', 'utf8'))
  const text = `[Distribution]
Distribution=debian
Release=${release}
Mirror=${mirror}

[Output]
Format=gpt_ext4
Bootable=${hasFat ? 'yes' : 'no'}
Output=disk.raw
RootSize=2G

[Content]
BasePackages=no
WithDocs=yes
Packages=${packages.join('\n    ')}
`
  return inDirectory(directory, 'mkosi.default', text, {
    name: hasFat ? 'mkosi' : 'mkosi, without a boot loader (this kernel has no vfat)',
    argv: ['mkosi', '--force', 'build'],
  })
}

const DEBOS_DISK = `  - action: image-partition
    imagename: disk.raw
    imagesize: 2G
    partitiontype: msdos
    mountpoints:
      - {mountpoint: /, partition: root}
    partitions:
      - {name: root, fs: ext4, start: 1MiB, end: 100%, flags: [boot]}
  - action: filesystem-deploy
  - action: run
    chroot: true
    command: grub-install --target=i386-pc $IMAGE && update-grub
`
const DEBOS_TAR = `  - action: pack
    file: disk.tar
    compression: none
`

function makeDebos({ release, mirror, packages }: Content, directory: string): Contender {
  const hasUdev = existsSync('/run/udev/control')
  const text = `architecture: amd64
actions:
  - action: debootstrap
    suite: ${release}
    components: [main]
    mirror: ${mirror}
    variant: minbase
  - action: apt
    recommends: false
    packages: [${packages.join(', ')}]
${hasUdev ? DEBOS_DISK : DEBOS_TAR}`
  return inDirectory(directory, 'debos.yaml', text, {
    name: hasUdev ? 'debos' : 'debos, only as a tar file (no udev here)',
    argv: ['debos', '--disable-fakemachine', 'debos.yaml'], // its own machine needs KVM
  })
}
