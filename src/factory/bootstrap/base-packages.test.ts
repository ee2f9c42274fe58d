import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { choosePackages } from './base-packages.ts'

const debian = { distro: 'debian', release: 'bookworm' } as const

function loaders(boot: ('bios' | 'uefi')[]): string[] {
  return choosePackages({ ...debian, boot }, 'ext4').filter((name) => /^grub-.*-bin$/.test(name))
}

describe('the packages of a base', () => {
  it('have a boot loader for each firmware that was asked for', () => {
    assert.deepEqual(loaders(['bios', 'uefi']), ['grub-pc-bin', 'grub-efi-amd64-bin'])
    assert.deepEqual(loaders(['uefi']), ['grub-efi-amd64-bin'])
  })

  it('have the tools of the root file system', () => {
    const tools = ['e2fsprogs', 'xfsprogs', 'btrfs-progs']
    for (const [index, type] of (['ext4', 'xfs', 'btrfs'] as const).entries()) {
      const found = choosePackages(debian, type).filter((name) => tools.includes(name))
      assert.deepEqual(found, [tools[index]])
    }
  })

  it('have what the recipe names, once, and its kernel instead of the usual one', () => {
    const packages = choosePackages(
      { ...debian, packages: ['sudo', 'udev', 'sudo'], kernel: 'linux-image-amd64' },
      'ext4',
    )
    assert.equal(packages.filter((name) => name === 'sudo').length, 1)
    assert.equal(packages.filter((name) => name === 'udev').length, 1)
    assert.ok(packages.includes('linux-image-amd64'))
    assert.ok(!packages.includes('linux-image-cloud-amd64'))
  })

  it('leave cloud-init out when the recipe says so', () => {
    assert.ok(choosePackages(debian, 'ext4').includes('cloud-init'))
    assert.ok(!choosePackages({ ...debian, cloud_init: false }, 'ext4').includes('cloud-init'))
  })
})
