import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { formatFatId, toDiskIdentity, toUuid } from './disk-identity.ts'
import { makeSystemFiles } from './system-files.ts'

const identity = { ...toDiskIdentity('test'), rootUuid: 'ROOT-UUID', espId: 0x0012abcd }
const debian = { distro: 'debian', release: 'bookworm' } as const

function namesOf(seed: string): unknown[] {
  const { partitionUuids, ...others } = toDiskIdentity(seed)
  return [...Object.values(others), ...Object.values(partitionUuids)]
}

describe('the identity of a disk', () => {
  it('is the same for the same plan, and another for another', () => {
    assert.deepEqual(toDiskIdentity('a'), toDiskIdentity('a'))
    assert.equal(new Set([...namesOf('a'), ...namesOf('b')]).size, 14)
  })

  it('is spelt as UUIDs are', () => {
    assert.match(
      toUuid('x', 'y'),
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    assert.equal(formatFatId(0x12abcd), '0012-ABCD')
  })
})

describe('the files of a machine', () => {
  const files = makeSystemFiles(debian, identity, 'ext4')

  it('mount the root by its UUID and check only ext4', () => {
    assert.equal(
      files.get('/etc/fstab'),
      'UUID=ROOT-UUID / ext4 defaults,errors=remount-ro 0 1\nUUID=0012-ABCD /boot/efi vfat umask=0077,nofail 0 0\n',
    )
    const bios = makeSystemFiles({ ...debian, boot: ['bios'] }, identity, 'xfs')
    assert.equal(bios.get('/etc/fstab'), 'UUID=ROOT-UUID / xfs defaults 0 0\n')
  })

  it('let kernel and boot loader talk on screen and serial line', () => {
    const grub = files.get('/etc/default/grub') ?? ''
    assert.match(grub, /^GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"$/m)
    assert.match(grub, /^GRUB_TERMINAL="console serial"$/m)
    assert.match(grub, /^GRUB_DISTRIBUTOR=Debian$/m)
  })

  it('tell cloud-init where to look', () => {
    const config = parse(files.get('/etc/cloud/cloud.cfg.d/10_datasources.cfg') ?? '') as {
      datasource_list: string[]
    }
    assert.deepEqual(config.datasource_list, ['NoCloud', 'ConfigDrive', 'OpenStack', 'Ec2', 'None'])
    const without = makeSystemFiles({ ...debian, cloud_init: false }, identity, 'ext4')
    assert.ok([...without.keys()].every((path) => !path.includes('cloud')))
  })
})
