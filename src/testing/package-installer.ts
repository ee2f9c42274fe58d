/**
 * An installer of ours that installs a system package by package, as debian-installer does behind its dialogs: it reads
 * a preseed file, partitions the disk, fetches .deb packages from a mirror, has the new system's own dpkg unpack and
 * configure them one after another, makes it bootable and powers off. It is a kernel and an initial root made of what
 * this host has installed; the packages are those that this host's apt gives.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { gzipSync } from 'node:zlib'
import { runTool } from '../base/process.ts'
import { type CpioEntry, makeCpio } from '../factory/installer/cpio.ts'
import { BUSYBOX, DISK_AND_NETWORK, findGuestKernel } from './stub-installer.ts'

/** What debootstrap does, in the words of a preseed file. Source: debootstrap's functions and its script for sid. */
const INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in ${DISK_AND_NETWORK.map((module) => basename(module)).join(' ')}; do insmod /lib/modules/$module.ko; done
die() { echo "An error occurred: $*. installation failed"; sleep 3; poweroff -f; sleep 99; }
say() { echo "package installer: $*"; }
get() { sed -n "s#^\\(d-i\\|tasksel\\) $1 [a-z]* *##p" /preseed.cfg; }
say 'Starting installer'
[ -s /preseed.cfg ] || die 'no answer file'
mirror="http://$(get mirror/http/hostname)$(get mirror/http/directory)"
disk=$(get partman-auto/disk)
ifconfig lo 127.0.0.1 up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
fetch() { wget -q -O "$2" "$mirror/$1" || die "no $mirror/$1"; }

say 'Partitioning disks'
printf 'label: dos\\nstart=1MiB, type=83, bootable\\n' | /usr/sbin/sfdisk -q $disk || die 'no partition'
uuid=$(cat /proc/sys/kernel/random/uuid)
/usr/sbin/mke2fs -q -t ext4 -U $uuid "\${disk}1" || die 'no file system'
mkdir -p /target; mount -t ext4 "\${disk}1" /target || die 'the file system cannot be mounted'
mkdir -p /dev/disk/by-uuid; ln -s "\${disk}1" /dev/disk/by-uuid/$uuid

say 'Installing the base system'
store=/target/var/cache/apt/archives
for name in bin sbin lib lib32 lib64 libx32; do mkdir -p /target/usr/$name; ln -s usr/$name /target/$name; done
mkdir -p $store /target/etc /target/dev /target/proc /target/sys /target/var/lib/dpkg/info /target/var/lib/dpkg/updates
fetch Packages /Packages; : >/again.list
awk -v base=yes -f /needs.awk /Packages >/base.list || die 'the base system cannot be had'
awk -v wanted="$(get pkgsel/include)" -f /needs.awk /Packages >/all.list || die 'a package cannot be had'
grep -v -x -F -f /base.list /all.list >/more.list
total=$(cat /base.list /more.list | wc -l); count=0
while read -r name file; do
  fetch "$file" $store/$name.deb
  ar -p $store/$name.deb data.tar.xz | xzcat | tar -xf - -C /target || die "$name cannot be unpacked"
done </base.list
# By its path, since busybox takes the name of an applet for its own, even there.
in_target() { chroot /target /usr/bin/env "$@"; }
# Whatever nobody reads in a guest of an hour is left out.
dpkg_() { in_target dpkg --force-unsafe-io --force-confold --path-exclude=/usr/share/doc/* --path-exclude=/usr/share/man/* --path-exclude=/usr/share/locale/* "$@" </dev/null; }
mount --bind /dev /target/dev; mount -t proc proc /target/proc; mount -t sysfs sys /target/sys
printf '#!/bin/sh\\nexit 101\\n' >/target/usr/sbin/policy-rc.d; chmod 755 /target/usr/sbin/policy-rc.d
: >/target/var/lib/dpkg/status; : >/target/var/lib/dpkg/available
ln -sf /usr/share/zoneinfo/UTC /target/etc/localtime
printf '%s\\n' "$(get netcfg/get_hostname)" >/target/etc/hostname
printf '127.0.0.1 localhost %s\\n' "$(get netcfg/get_hostname)" >/target/etc/hosts
printf 'UUID=%s / ext4 errors=remount-ro 0 1\\n' $uuid >/target/etc/fstab
for name in base-passwd base-files dpkg libc6 perl-base mawk debconf; do
  dpkg_ --force-depends --install /var/cache/apt/archives/$name.deb || die "$name cannot be installed"
done
while read -r name file; do
  count=$((count + 1)); say "Installing $name ($count/$total)"
  dpkg_ --force-depends --skip-same-version --unpack /var/cache/apt/archives/$name.deb || die "$name cannot be unpacked"
done </base.list
dpkg_ --force-depends --force-configure-any --configure --pending || die 'the base system cannot be configured'

say 'Select and install software'
grep -v '^\\(d-i\\|tasksel\\|#\\)' /preseed.cfg | in_target debconf-set-selections
while read -r name file; do
  count=$((count + 1)); say "Installing $name ($count/$total)"
  fetch "$file" $store/$name.deb
  # What needs each other is configured in the end, and what many ask for (an initramfs) is made once.
  dpkg_ --no-triggers --install /var/cache/apt/archives/$name.deb || echo $name >>/again.list
done </more.list
dpkg_ --configure --pending || die 'not all packages can be configured'
# A package is not even unpacked before those are configured that it depends on beforehand.
for name in $(cat /again.list); do
  dpkg_ --skip-same-version --install /var/cache/apt/archives/$name.deb || die "$name cannot be installed"
done
dpkg_ --triggers-only --pending || die 'not all packages can be configured'
rm -f $store/*.deb

say 'Installing GRUB'
printf 'GRUB_DEFAULT=0\\nGRUB_TIMEOUT=1\\nGRUB_DISTRIBUTOR=Debian\\nGRUB_TERMINAL="serial console"\\nGRUB_CMDLINE_LINUX="%s"\\n' \\
  "$(get debian-installer/add-kernel-opts)" >/target/etc/default/grub
in_target grub-install --target=i386-pc $disk || die 'no boot loader'
in_target update-grub || die 'no configuration of the boot loader'

say 'Finishing the installation'
password=$(get passwd/root-password-crypted)
[ -z "$password" ] || in_target usermod -p "$password" root
mkdir -p /target/etc/systemd/network
printf '[Match]\\nType=ether\\n[Network]\\nDHCP=yes\\n' >/target/etc/systemd/network/80-dhcp.network
in_target systemctl enable systemd-networkd
late=$(get preseed/late_command)
[ -z "$late" ] || sh -c "$late" || die 'the late command failed'
rm /target/usr/sbin/policy-rc.d
umount /target/sys; umount /target/proc; umount /target/dev
sync; umount /target || die 'the file system is still in use'
say 'Requesting system poweroff'
poweroff -f
`

/**
 * Of a mirror's index, what `wanted` (or, with `base`, what no system is without) needs: each package after what it
 * depends on, first alternatives first. Source: deb-control(5).
 */
const NEEDS = `BEGIN { RS = ""; FS = "\\n" }
{
  name = ""
  for (line = 1; line <= NF; line++) {
    at = index($line, ": ")
    field = substr($line, 1, at - 1); value = substr($line, at + 2)
    if (field == "Package") name = value
    else if (field == "Filename") file[name] = value
    else if (field == "Depends" || field == "Pre-Depends") needs[name] = needs[name] "," value
    else if (field == "Essential" || field == "Priority" && value == "required") required[name] = 1
    else if (field == "Provides") {
      many = split(value, names, / *, */)
      for (one = 1; one <= many; one++) { sub(/ .*/, "", names[one]); if (!(names[one] in by)) by[names[one]] = name }
    }
  }
}
END {
  if (base) for (name in required) visit(name)
  else { many = split(wanted, list, / +/); for (one = 1; one <= many; one++) if (!visit(list[one])) exit 1 }
}
function visit(name,   groups, alternatives, count, some, i, j) {
  if (!(name in file)) { if (!(name in by)) return 0; name = by[name] }
  if (name in done) return 1
  done[name] = 1
  count = split(needs[name], groups, /,/)
  for (i = 1; i <= count; i++) {
    some = split(groups[i], alternatives, /\\|/)
    for (j = 1; j <= some; j++) {
      gsub(/\\(.*\\)|:any| /, "", alternatives[j])
      if (alternatives[j] == "" || visit(alternatives[j])) break
    }
  }
  print name, file[name]
  return 1
}
`

const COMMANDS =
  'sh mount umount insmod sed echo printf sleep ifconfig wget poweroff wc cat mkdir ln rm awk grep tar xzcat chroot chmod sync ar'.split(
    ' ',
  )
const TOOLS = ['/usr/sbin/sfdisk', '/usr/sbin/mke2fs']

/** Kernel and initial root, as an install tree has them. Undefined where the host has no kernel for guests. */
export async function makePackageInstaller(): Promise<
  { kernel: Uint8Array; initrd: Uint8Array } | undefined
> {
  const kernel = findGuestKernel()
  if (kernel === undefined) return undefined
  const modules = DISK_AND_NETWORK.map((module) => ({
    path: `lib/modules/${basename(module)}.ko`,
    content: readFileSync(`${kernel.modules}/${module}.ko`),
  }))
  const initrd = makeCpio([
    { path: 'init', content: Buffer.from(INIT), mode: 0o755 },
    { path: 'needs.awk', content: Buffer.from(NEEDS) },
    { path: 'etc/mke2fs.conf', content: readFileSync('/etc/mke2fs.conf') },
    { path: 'bin/busybox', content: readFileSync(BUSYBOX), mode: 0o755 },
    ...COMMANDS.map((name) => ({ path: `bin/${name}`, linkTo: 'busybox' })),
    ...['proc', 'sys', 'dev', 'tmp'].map((path) => ({
      path: `${path}/.keep`,
      content: Buffer.alloc(0),
    })),
    ...(await withLibraries(TOOLS)),
    ...modules,
  ])
  return { kernel: readFileSync(kernel.path), initrd: gzipSync(initrd) }
}

/** Programs of this host with the libraries that they load, each where the loader looks for it. */
async function withLibraries(programs: readonly string[]): Promise<CpioEntry[]> {
  const told = (await runTool(['ldd', ...programs])).toString()
  const libraries = told.matchAll(/(?:=> )?(\/\S+) \(0x/g).map(([, path = '']) => path)
  return [...new Set([...programs, ...libraries])].map((path) => ({
    path: path.slice(1),
    content: readFileSync(realpathSync(path)),
    mode: 0o755,
  }))
}
