/**
 * An installer that is none: a Linux kernel of this host and an initial root of ours, which does what native
 * installers do for whoever drives them. It finds its answer file in the initial root or fetches it, writes the disk,
 * and powers off; or it does what installers do when something is wrong.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { makeCpio } from '../factory/installer/cpio.ts'

/** Drivers of virtio disks and cards, each after what it needs. */
export const DISK_AND_NETWORK = [
  'net/core/failover',
  'drivers/net/net_failover',
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci',
  'drivers/block/virtio_blk',
  'drivers/net/virtio_net',
]

/**
 * What it does is a word of the kernel's command line: `stub=install` (also without it), `stub=prompt` (asks
 * something and waits), `stub=silent` (does nothing for ever), `stub=panic`, `stub=busy` (writes for ever), `stub=reach` (tells
 * which of the addresses in `reach=URL,URL` it reaches).
 */
const INIT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in ${DISK_AND_NETWORK.map((module) => module.replace(/.*\//, '')).join(' ')}; do insmod /lib/$module.ko; done
word() { tr ' ' '\\n' </proc/cmdline | sed -n "s#^$1=##p" | head -n 1; }
echo 'stub installer: started'
case "$(word stub)" in
  prompt) printf '\\033[2J\\033[5;10HBad archive mirror\\033[12;10H<Go Back>   <Continue>'; sleep 99999 ;;
  silent) sleep 99999 ;;
  panic) exit 1 ;;
  busy) while :; do dd if=/bin/busybox of=/dev/vda bs=64k conv=fsync 2>/dev/null; sleep 1; done ;;
esac
answer=/preseed.cfg
url=$(word preseed/url)
if [ -n "$url$(word reach)" ]; then
  ifconfig lo 127.0.0.1 up
  ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
  route add default gw 10.0.2.2
fi
if [ "$(word stub)" = reach ]; then
  for one in $(word reach | tr , ' '); do wget -q -O /dev/null "$one" && echo "reached $one"; done
  poweroff -f
fi
if [ -n "$url" ]; then
  answer=/tmp/answer
  wget -q -O $answer "$url" || { echo 'stub installer: no answer file'; poweroff -f; }
fi
[ -s $answer ] || { echo 'stub installer: no answer file'; poweroff -f; }
echo "stub installer: answered by $(wc -c <$answer) bytes"
dd if=$answer of=/dev/vda bs=512 conv=sync,fsync 2>/dev/null
dd if=/bin/busybox of=/dev/vda bs=512 seek=2048 conv=sync,fsync 2>/dev/null
echo 'stub installer: done'
poweroff -f
`

const COMMANDS =
  'sh mount insmod tr sed head echo printf sleep dd ifconfig route wget poweroff wc cat uname'.split(
    ' ',
  )

/** The newest kernel of this host, and its modules. Undefined: there is none that is made for guests. */
export function findGuestKernel(): { path: string; modules: string } | undefined {
  const names = readdirSync('/boot').filter((name) => /^vmlinuz-.*-cloud-amd64$/.test(name))
  const version = names.toSorted().at(-1)?.replace('vmlinuz-', '')
  if (version === undefined) return undefined
  return { path: `/boot/vmlinuz-${version}`, modules: `/lib/modules/${version}/kernel` }
}

export const BUSYBOX = '/bin/busybox'

/** Kernel and initial root, as an install tree has them. Undefined where the host has no kernel for guests. */
export function makeStubInstaller(): { kernel: Uint8Array; initrd: Uint8Array } | undefined {
  const kernel = findGuestKernel()
  if (kernel === undefined) return undefined
  const initrd = makeCpio([
    { path: 'init', content: Buffer.from(INIT), mode: 0o755 },
    { path: 'bin/busybox', content: readFileSync(BUSYBOX), mode: 0o755 },
    ...COMMANDS.map((name) => ({ path: `bin/${name}`, linkTo: 'busybox' })),
    ...['proc/.keep', 'dev/.keep', 'tmp/.keep'].map((path) => ({ path, content: Buffer.alloc(0) })),
    ...DISK_AND_NETWORK.map((module) => ({
      path: `lib/${module.replace(/.*\//, '')}.ko`,
      content: readFileSync(`${kernel.modules}/${module}.ko`),
    })),
  ])
  return { kernel: readFileSync(kernel.path), initrd: gzipSync(initrd) }
}
