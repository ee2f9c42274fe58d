/** What stands in a tiny guest: enough of Debian 12 for every check that reads files. */

const PACKAGES: readonly { name: string; version: string; status?: string }[] = [
  { name: 'base-files', version: '12.4+deb12u11' },
  { name: 'bash', version: '5.2.15-2+b8' },
  { name: 'busybox-static', version: '1:1.35.0-4+deb12u1' },
  { name: 'curl', version: '7.88.1-10+deb12u12' },
  { name: 'dpkg', version: '1.21.22' },
  { name: 'openssh-server', version: '1:9.2p1-2+deb12u5' },
  { name: 'nano', version: '7.2-1+deb12u1', status: 'deinstall ok config-files' },
]

function dpkgStatus(): string {
  return PACKAGES.map(
    ({ name, version, status }) =>
      `Package: ${name}\nStatus: ${status ?? 'install ok installed'}\nPriority: optional\nSection: misc\nInstalled-Size: 100\nMaintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nVersion: ${version}\nDescription: ${name}, as far as a tiny guest has it\n`,
  ).join('\n')
}

/** What the guest says of itself. */
export const OS_RELEASE = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
`

/** Files of the guest by path. `nano` is removed but not purged: it must not count as installed. */
export const GUEST_FILES: Readonly<Record<string, string | { content: string; mode: number }>> = {
  '/etc/os-release': OS_RELEASE,
  '/etc/debian_version': '12.11\n',
  '/etc/hostname': 'tiny\n',
  '/etc/hosts': '127.0.0.1 localhost\n127.0.1.1 tiny\n',
  '/etc/passwd': `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
  '/etc/group': 'root:x:0:\ndaemon:x:1:\nsudo:x:27:\nnogroup:x:65534:\n',
  '/etc/shadow': { content: 'root:*:19700:0:99999:7:::\n', mode: 0o640 },
  '/etc/gshadow': { content: 'root:*::\nsudo:*::\n', mode: 0o640 },
  '/etc/shells': '/bin/sh\n',
  '/etc/fstab': 'UUID=10000000-0000-4000-8000-000000000001 / ext4 defaults 0 1\n',
  '/var/lib/dpkg/status': dpkgStatus(),
  '/var/lib/dpkg/arch': 'amd64\n',
}

/** Commands that busybox stands for. */
export const APPLETS: readonly string[] =
  `[ ash awk basename base64 cat chgrp chmod chown chroot cmp cp cut date dd df diff dirname du echo
  env expr false find getopt grep groups gunzip gzip head hostname id kill ln ls md5sum mkdir mkfifo
  mknod mktemp mount mv nproc od pidof printf ps pwd readlink realpath rm rmdir sed seq setsid sh
  sha256sum sleep sort stat stty sync tail tar tee test timeout touch tr true truncate tty umount
  uname uniq wc which whoami xargs yes`
    .trim()
    .split(/\s+/)
