import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import { makeScriptedRemote } from '../../testing/scripted-remote.ts'
import { makeBootLoader } from './boot-loader.ts'
import { toDiskIdentity } from './disk-identity.ts'

const identity = toDiskIdentity('test')
const attributes = { mode: 0o644, uid: 0, gid: 0 }

/** A guest whose GRUB works, with these files beside. */
async function makeFor(boot: ('bios' | 'uefi')[], files: Readonly<Record<string, string>> = {}) {
  const scripted = makeScriptedRemote({
    files: { '/usr/lib/grub/i386-pc/boot.img': 'boot', ...files },
    answers: [
      {
        to: 'sh',
        give: ({ argv }, tree) => {
          const [out = '', , , ...platforms] = argv.slice(4)
          tree.makeDirectory(out)
          for (const platform of platforms)
            tree.write(`${out}/${platform}`, Buffer.from(`${platform} image`), attributes)
        },
      },
    ],
  })
  await using remote = openRemote(scripted.driver, makeContext())
  return { made: await makeBootLoader(remote, boot, identity, 'ext4'), scripted }
}

function texts(files: ReadonlyMap<string, Uint8Array> | undefined): Record<string, string> {
  return Object.fromEntries(
    [...(files ?? [])].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]),
  )
}

describe('the boot loader of a tree', () => {
  it('is made for the firmware that was asked for, and leaves nothing of its making', async () => {
    const { made, scripted } = await makeFor(['bios', 'uefi'])
    assert.equal(Buffer.from(made.bios?.coreImage ?? []).toString(), 'i386-pc image')
    assert.equal(Buffer.from(made.bios?.bootImage ?? []).toString(), 'boot')
    assert.deepEqual(texts(made.uefi), { 'EFI/BOOT/BOOTX64.EFI': 'x86_64-efi image' })
    assert.deepEqual(scripted.files.list('/tmp'), [])
    assert.equal((await makeFor(['bios'])).made.uefi, undefined)
    assert.equal((await makeFor(['uefi'])).made.bios, undefined)
  })

  it('is the signed one where the guest has it, told where its menu is', async () => {
    const { made } = await makeFor(['uefi'], {
      '/usr/lib/shim/shimx64.efi.signed': 'shim',
      '/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed': 'grub',
    })
    assert.deepEqual(texts(made.uefi), {
      'EFI/BOOT/BOOTX64.EFI': 'shim',
      'EFI/BOOT/grubx64.efi': 'grub',
      'EFI/debian/grub.cfg': `search.fs_uuid ${identity.rootUuid} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`,
    })
  })

  it('is not taken half: a shim without its GRUB starts nothing', async () => {
    const { made } = await makeFor(['uefi'], {
      '/usr/lib/shim/shimx64.efi.signed': 'shim',
      '/usr/lib/shim/mmx64.efi.signed': 'keys',
    })
    assert.deepEqual(texts(made.uefi), { 'EFI/BOOT/BOOTX64.EFI': 'x86_64-efi image' })
  })
})
