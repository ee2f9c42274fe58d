/** Which kernel a guest boots, and what it starts from. */
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Remote } from '../remotes/remote.ts'

export interface GuestKernel {
  /** Paths in the guest, links followed. */
  readonly kernelPath: string
  readonly ramdiskPath: string
  readonly kernel: Uint8Array
  readonly ramdisk: Uint8Array
}

/** Larger than any kernel or ramdisk of a distribution. */
const MAX_SIZE = 512 * MiB

const KERNEL = /^vmlinu[xz]-(.+)$|^Image-(.+)$/
/** Rescue kernels of Fedora and RHEL are for repairs. */
const RESCUE = /rescue/

/**
 * The newest kernel in /boot and its ramdisk.
 * Fails with NO_OPERATING_SYSTEM when one of them is missing or is none.
 */
export async function readGuestKernel(remote: Remote): Promise<GuestKernel> {
  const names = (await remote.list('/boot')) ?? []
  const versions = names
    .map((name) => ({ name, version: KERNEL.exec(name)?.slice(1).find(Boolean) ?? '' }))
    .filter(({ version }) => version !== '' && !RESCUE.test(version))
    .sort((a, b) => compareVersions(b.version, a.version))
  const [newest] = versions
  if (newest === undefined) throw none(remote, 'there is no kernel in /boot')
  const { version } = newest
  // Source: the names that Debian, Fedora, openSUSE and Arch give.
  const ramdisks = [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`]
  const ramdisk = ramdisks.find((name) => names.includes(name))
  if (ramdisk === undefined) throw none(remote, `there is no ramdisk for ${newest.name} in /boot`)
  const read = async (name: string, isRight: (bytes: Buffer) => boolean, what: string) => {
    const bytes = Buffer.from((await remote.readFile(`/boot/${name}`, MAX_SIZE)) ?? [])
    if (isRight(bytes)) return bytes
    throw none(remote, `/boot/${name} is no ${what}`)
  }
  return {
    kernelPath: `/boot/${newest.name}`,
    ramdiskPath: `/boot/${ramdisk}`,
    kernel: await read(newest.name, isKernel, 'kernel'),
    ramdisk: await read(ramdisk, isRamdisk, 'ramdisk'),
  }
}

function none(remote: Remote, what: string): Failure {
  return new Failure('NO_OPERATING_SYSTEM', `${remote.name}: ${what}`)
}

/** Runs of digits by their value, all else by its characters; `~` before everything, as in packages. */
export function compareVersions(a: string, b: string): number {
  const left = a.match(/\d+|\D/g) ?? []
  const right = b.match(/\d+|\D/g) ?? []
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [one = '', other = ''] = [left[index], right[index]]
    if (one === other) continue
    if (one === '~' || other === '~') return one === '~' ? -1 : 1
    const difference = Number(one) - Number(other)
    if (/^\d/.test(one) && /^\d/.test(other) && difference !== 0) return difference
    return one < other ? -1 : 1
  }
  return 0
}

/** x86's boot protocol, EFI, ELF, arm64's header. Source: Linux, Documentation/arch. */
function isKernel(bytes: Buffer): boolean {
  const holds = (at: number, magic: string) =>
    bytes.toString('latin1', at, at + magic.length) === magic
  return holds(514, 'HdrS') || holds(0, 'MZ') || holds(0, '\x7fELF') || holds(56, 'ARM\x64')
}

/** A cpio archive, plain or compressed. */
const RAMDISKS = [
  '070701',
  '070702',
  '\x1f\x8b',
  '\xfd7zXZ\0',
  '\x28\xb5\x2f\xfd',
  '\x04\x22\x4d\x18',
  '\x02\x21\x4c\x18',
  'BZh',
  '\x5d\0\0',
]

function isRamdisk(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, 6)
  return RAMDISKS.some((magic) => start.startsWith(magic))
}
