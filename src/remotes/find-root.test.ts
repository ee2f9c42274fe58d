import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { isNamedBy, parseFstab, toDevice } from './_fstab.ts'
import { type DiskFileSystem, findRoot, type ReadTexts } from './find-root.ts'

/** A disk by words: what stands on each device, and its files. */
type Disk = Record<string, Partial<DiskFileSystem> & { files?: Record<string, string> }>

function survey(disk: Disk): { fileSystems: DiskFileSystem[]; readTexts: ReadTexts } {
  const fileSystems = Object.entries(disk).map(([device, given], index) => ({
    device,
    offset: index * 1000,
    length: 1000,
    type: 'ext4',
    uuid: `uuid-${index + 1}`,
    label: '',
    partitionUuid: `part-${index + 1}`,
    partitionLabel: '',
    ...given,
  }))
  return {
    fileSystems,
    readTexts: async ({ device }, paths) => paths.map((path) => disk[device]?.files?.[path]),
  }
}

const find = async (disk: Disk, named?: string) => {
  const { fileSystems, readTexts } = survey(disk)
  const mounts = await findRoot(fileSystems, readTexts, { image: 'disk.raw', named })
  return mounts.map(({ at, fileSystem, options }) => [at, fileSystem.device, options])
}

const DEBIAN = { '/etc/os-release': 'ID=debian\nPRETTY_NAME="Debian 12"\n' }
const FEDORA = { '/usr/lib/os-release': 'ID=fedora\nPRETTY_NAME="Fedora 41"\n' }

const guest = (fstab: string) => ({ ...DEBIAN, '/etc/fstab': fstab })

/** A guest that mounts a disk which is not there. */
const missing = (options: string): Disk => ({
  '/dev/sda1': { files: guest(`/dev/vdb1 /var ext4 ${options}`) },
})

describe('the root of a disk', () => {
  it('is the file system with an os-release, in either place', async () => {
    assert.deepEqual(
      await find({ '/dev/sda1': { type: 'vfat' }, '/dev/sda2': { files: DEBIAN } }),
      [['/', '/dev/sda2', undefined]],
    )
    assert.deepEqual(await find({ '/dev/sda': { type: 'xfs', files: FEDORA } }), [
      ['/', '/dev/sda', undefined],
    ])
  })

  it('is found when /usr is a file system of its own', async () => {
    const fstab = 'UUID=uuid-1 / ext4 defaults 0 1\nUUID=uuid-2 /usr ext4 defaults 0 2\n'
    const disk = {
      '/dev/sda1': { files: { '/etc/fstab': fstab } },
      '/dev/sda2': { files: { '/lib/os-release': 'ID=debian' } },
    }
    assert.deepEqual(await find(disk), [
      ['/', '/dev/sda1', undefined],
      ['/usr', '/dev/sda2', undefined],
    ])
  })

  it('may lie in a subvolume of btrfs', async () => {
    const fstab = 'UUID=uuid-1 / btrfs subvol=@ 0 0\nUUID=uuid-1 /home btrfs subvol=@home 0 0\n'
    const files = { '/@/etc/os-release': 'ID=ubuntu', '/@/etc/fstab': fstab }
    assert.deepEqual(await find({ '/dev/sda1': { type: 'btrfs', files } }), [
      ['/', '/dev/sda1', 'subvol=@'],
      ['/home', '/dev/sda1', 'subvol=@home'],
    ])
  })

  it('must be named when there are several, and the choice is shown', async () => {
    const evil = { '/etc/os-release': 'PRETTY_NAME="\u001b[2Jevil\u0007"' }
    const disk = {
      '/dev/sda1': { files: DEBIAN },
      '/dev/sda2': { files: FEDORA },
      '/dev/sda3': { files: evil },
    }
    await assert.rejects(find(disk), (error) => {
      assert.ok(isFailure(error, 'SEVERAL_OPERATING_SYSTEMS'))
      assert.equal(
        error.message,
        'disk.raw holds Debian 12 on /dev/sda1 and Fedora 41 on /dev/sda2 and [2Jevil on /dev/sda3',
      )
      assert.match(error.fix ?? '', /--root-filesystem \/dev\/sda2/)
      return true
    })
    assert.deepEqual(await find(disk, '/dev/sda2'), [['/', '/dev/sda2', undefined]])
    assert.deepEqual(await find(disk, '/dev/vda2'), [['/', '/dev/sda2', undefined]])
  })

  it('is missed with a list of what is there instead', async () => {
    const disk = {
      '/dev/sda1': { type: 'vfat', label: 'EFI' },
      '/dev/sda2': { type: 'swap' },
      '/dev/sda3': {},
    }
    await assert.rejects(find(disk), (error) => {
      assert.ok(isFailure(error, 'NO_OPERATING_SYSTEM'))
      assert.match(
        error.message,
        /it has \/dev\/sda1 \(vfat, EFI\), \/dev\/sda2 \(swap\), \/dev\/sda3 \(ext4\)$/,
      )
      return true
    })
    await assert.rejects(find({}), /has no file system, so no operating system$/)
    await assert.rejects(find(disk, '/dev/sda9'), /no file system \/dev\/sda9/)
    await assert.rejects(find(disk, '/dev/sda2'), failsWith('NO_OPERATING_SYSTEM'))
  })

  it('is said to be encrypted when only that can be the reason', async () => {
    const disk = { '/dev/sda1': { type: 'vfat' }, '/dev/sda2': { type: 'crypto_LUKS' } }
    await assert.rejects(find(disk), failsWith('FILE_SYSTEM_ENCRYPTED'))
    assert.equal((await find({ ...disk, '/dev/sda3': { files: DEBIAN } })).length, 1)
  })
})

describe('what a guest mounts', () => {
  it('is found by UUID, label, partition or device name, parents first', async () => {
    const fstab = `
      # a comment
      /dev/vda1            /               ext4 errors=remount-ro 0 1
      UUID="UUID-2"        /var/lib        ext4 defaults
      LABEL=data           /srv/with\\040blank ext4 defaults
      PARTUUID=PART-4      /boot/efi/      vfat umask=0077
      /dev/disk/by-partlabel/boot /boot    ext4 defaults
      /dev/nvme0n1p6       /var            ext4 defaults
      tmpfs /tmp tmpfs size=1G
      /dev/sda7 none swap sw
      UUID=gone /backup ext4 nofail`
    const disk: Disk = {
      '/dev/sda1': { files: guest(fstab) },
      '/dev/sda2': {},
      '/dev/sda3': { label: 'data' },
      '/dev/sda4': { type: 'vfat' },
      '/dev/sda5': { partitionLabel: 'boot' },
      '/dev/sda6': {},
      '/dev/sda7': { type: 'swap' },
    }
    assert.deepEqual(
      (await find(disk)).map(([at, device]) => `${device} ${at}`),
      [
        '/dev/sda1 /',
        '/dev/sda5 /boot',
        '/dev/sda6 /var',
        '/dev/sda4 /boot/efi',
        '/dev/sda3 /srv/with blank',
        '/dev/sda2 /var/lib',
      ],
    )
  })

  it('must be on the disk, unless the guest boots without it', async () => {
    await assert.rejects(find(missing('defaults')), /mounts \/dev\/vdb1 at \/var/)
    assert.equal((await find(missing('nofail'))).length, 1)
    assert.equal((await find(missing('noauto'))).length, 1)
  })

  it('is not confused by an fstab that is no fstab', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { at, what } of parseFstab(text))
          assert.ok(at.startsWith('/') && !what.startsWith('#'))
      }),
    )
    assert.equal(parseFstab('/dev/sda1 /a ext4\n'.repeat(5000)).length, 1000)
  })
})

it('a device has one name, whatever the bus of the guest', () => {
  for (const name of ['/dev/vda2', '/dev/xvda2', '/dev/hda2', '/dev/nvme0n1p2', '/dev/mmcblk0p2'])
    assert.equal(toDevice(name), '/dev/sda2')
  assert.equal(toDevice('/dev/nvme0n1'), '/dev/sda')
  assert.equal(toDevice('/dev/mapper/vg--one-root--lv'), '/dev/vg-one/root-lv')
  for (const name of ['/dev/sdb1', '/dev/vg/lv', '/dev/sda1x', 'sda1'])
    assert.equal(toDevice(name), name)
})

it('an empty UUID or label names nothing', () => {
  const [bare] = survey({
    '/dev/sda1': { uuid: '', label: '', partitionUuid: '', partitionLabel: '' },
  }).fileSystems
  assert.ok(bare)
  for (const what of ['UUID=', 'LABEL=', 'PARTUUID=', 'PARTLABEL=', '/dev/disk/by-uuid/'])
    assert.equal(isNamedBy(bare, what), false)
})
