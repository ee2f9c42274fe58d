import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import { compareVersions, readGuestKernel } from './guest-kernel.ts'

const KERNEL = Buffer.alloc(1024)
KERNEL.write('HdrS', 514)
const RAMDISK = Buffer.from('070701')

const read = async (files: Readonly<Record<string, string | Uint8Array>>) =>
  await readGuestKernel(openRemote(makeScriptedRemote({ files }).driver, makeContext()))

describe('the kernel of a guest', () => {
  it('is the newest in /boot, with its own ramdisk', async () => {
    const found = await read({
      '/boot/vmlinuz-6.1.0-9-amd64': KERNEL,
      '/boot/initrd.img-6.1.0-9-amd64': 'old',
      '/boot/vmlinuz-6.1.0-32-amd64': KERNEL,
      '/boot/initrd.img-6.1.0-32-amd64': RAMDISK,
      '/boot/config-6.1.0-99-amd64': 'CONFIG=y',
    })
    assert.equal(found.kernelPath, '/boot/vmlinuz-6.1.0-32-amd64')
    assert.equal(found.ramdiskPath, '/boot/initrd.img-6.1.0-32-amd64')
    assert.deepEqual(Buffer.from(found.ramdisk), RAMDISK)
  })

  it('is found by the names of Fedora, without the one for repairs', async () => {
    const found = await read({
      '/boot/vmlinuz-6.8.5-301.fc40.x86_64': KERNEL,
      '/boot/initramfs-6.8.5-301.fc40.x86_64.img': RAMDISK,
      '/boot/vmlinuz-9-rescue-0123456789abcdef': KERNEL,
      '/boot/initramfs-9-rescue-0123456789abcdef.img': RAMDISK,
    })
    assert.equal(found.kernelPath, '/boot/vmlinuz-6.8.5-301.fc40.x86_64')
  })

  it('may be of any architecture, its ramdisk packed in any way', async () => {
    const arm = Buffer.alloc(64)
    arm.write('ARM\x64', 56)
    for (const [kernel, ramdisk] of [
      [arm, Buffer.from('1f8b08', 'hex')],
      [Buffer.from('MZ'), Buffer.from('28b52ffd', 'hex')],
      [Buffer.from('\x7fELF'), Buffer.from('fd377a585a00', 'hex')],
    ] as const)
      await read({ '/boot/vmlinuz-1': kernel, '/boot/initrd.img-1': ramdisk })
  })

  it('is missed when there is none, no ramdisk, or when it is something else', async () => {
    for (const [files, why] of [
      [{}, /no kernel in \/boot/],
      [{ '/boot/vmlinuz-1': KERNEL }, /no ramdisk for vmlinuz-1/],
      [{ '/boot/vmlinuz-1': 'QFI\xfb', '/boot/initrd.img-1': RAMDISK }, /vmlinuz-1 is no kernel/],
      [
        { '/boot/vmlinuz-1': KERNEL, '/boot/initrd.img-1': 'QFI\xfb' },
        /initrd.img-1 is no ramdisk/,
      ],
    ] as const)
      await assert.rejects(
        read(files),
        (error) =>
          failsWith('NO_OPERATING_SYSTEM')(error) &&
          error instanceof Error &&
          why.test(error.message),
      )
  })
})

describe('versions', () => {
  it('are compared by their numbers', () => {
    const sorted = ['5.10.0-9', '6.1.0~rc1', '6.1.0-9', '6.1.0-10', '6.1.10-1', '6.1.10-1a', '10.0']
    assert.deepEqual([...sorted].reverse().sort(compareVersions), sorted)
    assert.equal(compareVersions('6.1', '6.1'), 0)
  })
})
