/**
 * The boot loader of a tree, made by the tree's own GRUB: its modules and menu go to /boot/grub, and
 * what firmware starts is handed out for `make-disk.ts` to put where firmware looks for it.
 */
import { Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import type { Remote } from '../../remotes/remote.ts'
import type { DiskIdentity } from './disk-identity.ts'
import type { FileSystemType } from './tree-builder.ts'

export interface BootFiles {
  /** For machines with a BIOS: the boot sector and GRUB's core. */
  bios: { bootImage: Uint8Array; coreImage: Uint8Array } | undefined
  /** For machines with UEFI: files of the EFI system partition by path. */
  uefi: ReadonlyMap<string, Uint8Array> | undefined
}

/** GRUB's module for a file system. */
const MODULES: Readonly<Record<FileSystemType, string>> = {
  ext4: 'ext2',
  xfs: 'xfs',
  btrfs: 'btrfs',
}

/**
 * Words: the directory for what is handed out, the root's UUID, GRUB's module and name for its file
 * system, then the platforms.
 *
 * GRUB finds its directory by the root's UUID wherever the disk is attached. The menu is written by
 * the guest's own grub-mkconfig, so that it is what update-grub will write after a kernel's upgrade;
 * only its questions about devices and mounts, of which there are none here, are answered by us.
 */
const SCRIPT = `
set -eu
umask 022
out=$1 uuid=$2 module=$3
shift 3
rm -rf "$out"
mkdir "$out"
mkdir -p /boot/grub/fonts
cp /usr/share/grub/unicode.pf2 /boot/grub/fonts/

cat >"$out/load.cfg" <<END
search.fs_uuid $uuid root
set prefix=(\\$root)/boot/grub
END
for platform; do
  rm -rf "/boot/grub/$platform"
  mkdir "/boot/grub/$platform"
  cp /usr/lib/grub/"$platform"/*.mod /usr/lib/grub/"$platform"/*.lst "/boot/grub/$platform/"
  case $platform in
    i386-pc) disk=biosdisk ;;
    *) disk= ;;
  esac
  grub-mkimage -O "$platform" -o "$out/$platform" -c "$out/load.cfg" -p /boot/grub \\
    $disk part_gpt "$module" search_fs_uuid
done

cat >"$out/grub-probe" <<END
#!/bin/sh
case "\\$*" in
  *fs_uuid*) echo $uuid ;;
  *partmap*) echo gpt ;;
  *abstraction* | *hint* | *cryptodisk* | *partuuid* | *fs_label*) ;;
  *target=device*) echo UUID=$uuid ;;
  *target=fs* | *"-t fs"*) echo $module ;;
  *) exit 1 ;;
esac
END
cat >"$out/grub-mkrelpath" <<END
#!/bin/sh
echo "\\$1"
END
export grub_probe="$out/grub-probe" grub_mkrelpath="$out/grub-mkrelpath"
sed '/^grub_probe=/d' /usr/sbin/grub-mkconfig >"$out/grub-mkconfig"
chmod 755 "$out"/grub-*
grub-editenv /boot/grub/grubenv create
"$out/grub-mkconfig" -o /boot/grub/grub.cfg
`

const OUT = '/tmp/ingot-boot-loader'
const MAX_IMAGE = 16 * MiB

/** What distributions sign for Secure Boot, and what each file is called where firmware finds it. */
const SIGNED: Readonly<Record<string, string>> = {
  '/usr/lib/shim/shimx64.efi.signed': 'EFI/BOOT/BOOTX64.EFI',
  '/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed': 'EFI/BOOT/grubx64.efi',
  '/usr/lib/shim/mmx64.efi.signed': 'EFI/BOOT/mmx64.efi',
}
/** Without these two of them, nothing starts. */
const NEEDED = ['EFI/BOOT/BOOTX64.EFI', 'EFI/BOOT/grubx64.efi']

/**
 * Sets the boot loader of the guest up for the given firmware. If the guest has a signed shim and
 * GRUB, those start it by UEFI, and Secure Boot may be on.
 * Fails with BUILD_FAILED, COMMAND_FAILED.
 */
export async function makeBootLoader(
  remote: Remote,
  boot: readonly ('bios' | 'uefi')[],
  identity: DiskIdentity,
  fileSystem: FileSystemType,
): Promise<BootFiles> {
  const platforms = boot.map((firmware) => (firmware === 'bios' ? 'i386-pc' : 'x86_64-efi'))
  const words = [OUT, identity.rootUuid, MODULES[fileSystem], ...platforms]
  await remote.runOk({ argv: ['sh', '-c', SCRIPT, 'make-boot-loader', ...words] })
  try {
    return {
      bios: boot.includes('bios')
        ? {
            bootImage: await read(remote, '/usr/lib/grub/i386-pc/boot.img'),
            coreImage: await read(remote, `${OUT}/i386-pc`),
          }
        : undefined,
      uefi: boot.includes('uefi') ? await collectEfiFiles(remote, identity) : undefined,
    }
  } finally {
    await remote.remove(OUT)
  }
}

async function collectEfiFiles(
  remote: Remote,
  identity: DiskIdentity,
): Promise<Map<string, Uint8Array>> {
  const signed = await Promise.all(
    Object.entries(SIGNED).map(
      async ([path, name]) => [name, await remote.readFile(path, MAX_IMAGE)] as const,
    ),
  )
  const present = signed.filter(
    (entry): entry is readonly [string, Uint8Array] => entry[1] !== undefined,
  )
  if (!NEEDED.every((path) => present.some(([name]) => name === path)))
    return new Map([['EFI/BOOT/BOOTX64.EFI', await read(remote, `${OUT}/x86_64-efi`)]])
  // The signed GRUB looks for its configuration in the directory of its distribution.
  const { distro } = await remote.facts()
  const config = `search.fs_uuid ${identity.rootUuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`
  return new Map([...present, [`EFI/${distro}/grub.cfg`, Buffer.from(config)]])
}

async function read(remote: Remote, path: string): Promise<Uint8Array> {
  const content = await remote.readFile(path, MAX_IMAGE)
  if (content) return content
  throw new Failure('BUILD_FAILED', `the guest's GRUB is not whole: there is no ${path}`)
}
