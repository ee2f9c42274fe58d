import assert from 'node:assert/strict'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { type FailureCode, isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { writeContractTree } from '../testing/contract-tree.ts'
import { makeExtImage, makeSparse } from '../testing/ext-image.ts'
import { failsWith } from '../testing/fails-with.ts'
import { CONTRACT_BASE, testRemoteContract } from '../testing/remote-contract.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { makeTinyImage, type TinyImageOptions } from '../testing/tiny-image.ts'
import { openRemote } from './open-remote.ts'
import { openReadImage, type ReadImageOptions } from './read-image.ts'
import type { Remote } from './remote.ts'

const at = await tempDir()
const context = makeContext()
const isRoot = process.getuid?.() === 0

async function openAt(path: string, options: Partial<ReadImageOptions> = {}): Promise<Remote> {
  return openRemote(await openReadImage({ path, ...options }, context), context)
}

const lay = (tree: string) => writeContractTree(tree, CONTRACT_BASE)

async function openTiny(options: TinyImageOptions & Partial<ReadImageOptions> = {}) {
  const { rootFileSystem, ...rest } = options
  const { path } = await makeTinyImage(at('tiny'), rest)
  return await openAt(path, rootFileSystem === undefined ? {} : { rootFileSystem })
}

async function refused(path: string, code: FailureCode, says = /./): Promise<void> {
  await assert.rejects(openAt(path), (error) => {
    assert.ok(isFailure(error, code), String(error))
    assert.match(error.message, says)
    return true
  })
}
/** A tiny image with something else in its second partition. */
async function withSecond(make: (path: string) => Promise<unknown>): Promise<string> {
  const image = await makeTinyImage(at('second'), {
    separate: '/data',
    files: { '/etc/fstab': '' },
  })
  const place = image.fileSystems[1] ?? assert.fail('no second partition')
  await makeSparse(at('part'), place.length)
  await make(at('part'))
  const disk = await readFile(image.path)
  ;(await readFile(at('part'))).copy(disk, place.offset)
  await writeFile(image.path, disk)
  return image.path
}

for (const options of [
  { layout: 'gpt', format: 'qcow2' },
  { layout: 'mbr', mkfs: ['-O', 'inline_data'] },
] as const)
  if (isRoot)
    testRemoteContract(
      `an image by reading (${JSON.stringify(options)})`,
      async () => {
        const path = at(`contract-${options.layout}`)
        await makeTinyImage(path, { ...options, lay })
        return { remote: await openAt(path), base: CONTRACT_BASE }
      },
      { writable: false, runs: false },
    )
  else it('the remote contract', { skip: 'laying files of other owners into an image needs root' })

describe('an image by reading', () => {
  it('answers what the guest is and has, without root and without a command', async () => {
    await using remote = await openTiny()
    assert.deepEqual(await remote.facts(), {
      distro: 'debian',
      family: 'debian',
      version: '12',
      codename: 'bookworm',
      prettyName: 'Debian GNU/Linux 12 (bookworm)',
      architecture: 'x86_64',
    })
    assert.equal(remote.rootFileSystem, '/dev/sda1')
    assert.match((await remote.readText('/var/lib/dpkg/status')) ?? '', /^Package: curl$/m)
    const shadow = await remote.stat('/etc/shadow')
    assert.deepEqual([shadow?.mode, shadow?.uid], [0o640, 0])
    assert.equal((await remote.stat('/bin'))?.target, 'usr/bin')
  })

  for (const fileSystem of ['ext2', 'ext3', 'ext4'] as const)
    it(`reads ${fileSystem}, also without a partition table`, async () => {
      await using remote = await openTiny({ fileSystem, layout: 'none' })
      assert.equal(remote.rootFileSystem, '/dev/sda')
      assert.equal((await remote.facts()).distro, 'debian')
    })

  it('finds what stands on a file system of its own, through links in both directions', async () => {
    const files = {
      '/var/from-var': { link: '../etc/hostname' },
      '/into-var': { link: '/var/lib/dpkg' },
      '/var/up': { link: '..' },
    }
    await using remote = await openTiny({ separate: '/var', files })
    assert.match((await remote.readText('/var/lib/dpkg/status')) ?? '', /Package: dpkg/)
    assert.match((await remote.readText('/into-var/status')) ?? '', /Package: dpkg/)
    assert.equal(await remote.readText('/var/from-var'), 'tiny\n')
    assert.equal(await remote.readText('/var/up/var/up/etc/hostname'), 'tiny\n')
    assert.equal(await remote.readText('/var/.keep'), undefined)
  })

  it('does not write to the image', async () => {
    const { path } = await makeTinyImage(at('untouched'))
    const before = await readFile(path)
    await using remote = await openAt(path)
    await remote.facts()
    await remote.list('/etc')
    assert.equal(Buffer.compare(await readFile(path), before), 0)
  })

  it('asks which one when there are two guests, and takes the answer', async () => {
    await assert.rejects(openTiny({ twoRoots: true }), (error) => {
      assert.ok(isFailure(error, 'SEVERAL_OPERATING_SYSTEMS'))
      assert.match(error.message, /\(bookworm\) on \/dev\/sda1 and .*\(bullseye\) on \/dev\/sda2/)
      return true
    })
    await using remote = await openTiny({ twoRoots: true, rootFileSystem: '/dev/sda2' })
    assert.equal((await remote.facts()).version, '11')
  })

  it('refuses to be opened for changes', async () => {
    const { path } = await makeTinyImage(at('change'))
    await assert.rejects(openAt(path, { access: 'change' }), failsWith('REMOTE_CANNOT'))
  })
})

describe('an image that cannot be read is refused, so that nobody takes it for one that lacks files', () => {
  it('missing, no image, cut short', async () => {
    await refused(at('nothing'), 'IMAGE_NOT_FOUND')
    await writeFile(at('text'), 'text '.repeat(1024))
    await refused(at('text'), 'IMAGE_UNREADABLE')
    const { path } = await makeTinyImage(at('cut'))
    await truncate(path, 20 * MiB)
    await refused(path, 'IMAGE_TRUNCATED', /partition 1 ends at byte/)
  })

  it('without a system', async () => {
    await makeExtImage(at('data'), MiB, { '/file': '' })
    await refused(at('data'), 'NO_OPERATING_SYSTEM', /it has \/dev\/sda \(ext4\)/)
  })

  it('with a journal that was not replayed', async () => {
    const { path } = await makeTinyImage(at('dirty'), {
      layout: 'none',
      mkfs: ['-O', '^metadata_csum'],
    })
    const disk = await readFile(path)
    disk.writeUInt8(disk.readUInt8(1024 + 96) | 4, 1024 + 96)
    await writeFile(path, disk)
    await refused(path, 'FILE_SYSTEM_DIRTY', /journal/)
  })

  it('with its root in what only others can read', async () => {
    await makeSparse(at('xfs'), 320 * MiB)
    await runTool(['mkfs.xfs', '-q', at('xfs')])
    await refused(at('xfs'), 'FILE_SYSTEM_UNSUPPORTED', /xfs/)
  })

  it('with an encrypted disk and nothing beside it', async () => {
    const disk = Buffer.alloc(MiB)
    disk.write('LUKS\xba\xbe', 0, 'latin1')
    await writeFile(at('luks'), disk)
    await refused(at('luks'), 'FILE_SYSTEM_ENCRYPTED')
  })

  it('with a second file system that may hold another guest', async () => {
    const lvm = await withSecond(async (path) => {
      const bytes = await readFile(path)
      bytes.write('LABELONE', 512)
      bytes.write('LVM2 001', 512 + 24)
      await writeFile(path, bytes)
    })
    await refused(lvm, 'FILE_SYSTEM_UNSUPPORTED', /sda2 is LVM2_member/)
    await using named = await openAt(lvm, { rootFileSystem: '/dev/sda1' })
    assert.equal((await named.facts()).distro, 'debian')
  })

  it('but what is mounted unread is only refused to those who come by', async () => {
    const image = await makeTinyImage(at('esp'), { separate: '/boot/efi' })
    const place = image.fileSystems[1] ?? assert.fail('no second partition')
    await makeSparse(at('fat'), place.length)
    await runTool(['mkfs.vfat', '-i', '12345678', at('fat')])
    const disk = await readFile(image.path)
    ;(await readFile(at('fat'))).copy(disk, place.offset)
    const uuid = disk.indexOf('UUID=10000000-0000-4000-8000-000000000002 /boot/efi')
    disk.write('UUID=1234-5678                            ', uuid)
    await writeFile(image.path, disk)
    await using remote = await openAt(image.path)
    assert.equal((await remote.facts()).distro, 'debian')
    assert.deepEqual(await remote.list('/boot'), ['efi'])
    for (const look of [
      remote.list('/boot/efi'),
      remote.readFile('/boot/efi/x'),
      remote.stat('/boot/efi'),
    ])
      await assert.rejects(look, /\/boot\/efi stands on \/dev\/sda2 \(vfat\)/)
  })
})

describe('the thread that reads', () => {
  it('is stopped when an answer takes too long', async () => {
    const { path } = await makeTinyImage(at('slow'))
    await assert.rejects(openAt(path, { limitMs: 0 }), (error) => {
      assert.ok(isFailure(error, 'IMAGE_UNREADABLE'))
      assert.match(error.message, /no answer to 'open'/)
      return true
    })
  })

  it('is stopped when the user says so', async () => {
    const { path } = await makeTinyImage(at('interrupted'))
    const controller = new AbortController()
    const interruptible = makeContext({ signal: controller.signal })
    const opening = openReadImage({ path }, interruptible)
    controller.abort()
    await assert.rejects(opening, failsWith('INTERRUPTED'))
  })

  it('answers nothing more once it is closed', async () => {
    const remote = await openTiny()
    await remote[Symbol.asyncDispose]()
    await assert.rejects(remote.stat('/'), failsWith('REMOTE_LOST'))
  })

  it('reads many files at the same time', async () => {
    await using remote = await openTiny()
    const names = (await remote.list('/usr/bin')) ?? []
    const found = await Promise.all(names.map((name) => remote.stat(`/usr/bin/${name}`)))
    assert.ok(names.length > 50 && found.every((stat) => stat !== undefined))
  })
})
