import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { defaultCacheDir } from '../base/paths.ts'
import { findProgram, runTool } from '../base/process.ts'
import { GiB, KiB, MiB } from '../base/units.ts'
import { openFileSource } from '../bytes/source.ts'
import { contentOf, readTreeArchive, type StoredMember } from '../formats/read-tree-archive.ts'
import { settleHoles } from '../formats/settle-holes.ts'
import { TreeArchiveWriter } from '../formats/write-tree-archive.ts'
import { failsWith } from '../testing/fails-with.ts'
import {
  ACCESS_LIST,
  CAPABILITY,
  layRichGuest,
  LONG_DIRECTORY,
  LONG_NAME,
  LONG_TARGET,
  RICH_TIME,
  SPARSE,
} from '../testing/rich-guest.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { makeTinyImage } from '../testing/tiny-image.ts'
import { checkAppliance } from './appliance.ts'
import { type ImageVia, openImageRemote } from './open-image.ts'

const at = await tempDir()
const isRoot = process.geteuid?.() === 0
const { available, missing } = await checkAppliance()

async function archive(image: string, via: ImageVia, access: 'check' | 'change' = 'check') {
  const place = at(`temp-${via}`)
  await mkdir(place, { recursive: true })
  const accelerator = 'tcg'
  const cacheDir = defaultCacheDir(process.env)
  const options = { path: image, via, access, network: false, accelerator, cacheDir } as const
  await using remote = await openImageRemote({ ...options, tempDir: place }, makeContext())
  const path = `${image}-${via}.tar`
  await remote.archive(path)
  return path
}

/** Members of an archive by path. */
async function membersOf(path: string): Promise<Map<string, StoredMember>> {
  await using source = await openFileSource(path)
  return new Map((await readTreeArchive(source)).map((member) => [member.path, member]))
}

/** A digest of everything in an archive: of names, attributes and content, not of how it is written. */
async function digestOf(path: string): Promise<string> {
  await using source = await openFileSource(path)
  const hash = createHash('sha256')
  const writer = new TreeArchiveWriter(async (bytes) => void hash.update(bytes))
  for (const member of await readTreeArchive(source)) {
    const read = contentOf(source, member)
    const { node } = member
    const settled = node.type === 'file' ? await settleHoles(node, read) : node
    await writer.add({ ...member, node: settled }, read)
  }
  await writer.end()
  return hash.digest('hex')
}

describe(
  'the archive of a rich guest',
  { skip: isRoot ? false : 'only root can make devices' },
  () => {
    const image = at('rich')
    let path = ''
    let members = new Map<string, StoredMember>()
    before(async () => {
      await makeTinyImage(image, { size: 64 * MiB, lay: layRichGuest })
      path = await archive(image, 'read')
      members = await membersOf(path)
    })
    const find = (name: string) => members.get(name)
    const extended = (name: string) => find(`srv/attributes/${name}`)?.extended

    it('has links of both kinds', () => {
      assert.deepEqual(find('srv/long/link')?.node, { type: 'link', target: LONG_TARGET })
      assert.deepEqual(find('srv/absolute')?.node, { type: 'link', target: '/etc/passwd' })
      assert.equal(find('srv/links/a-second')?.node.type, 'file')
      for (const name of ['b-first', 'c-third'])
        assert.deepEqual(find(`srv/links/${name}`)?.node, {
          type: 'hard link',
          target: 'srv/links/a-second',
        })
    })

    it('has names of all kinds and lengths', () => {
      assert.ok(find(`${LONG_DIRECTORY}/${LONG_NAME}`.slice(1)))
      for (const name of ['new\nline', 'naïve ☃', ' blank ', '-dash', 'back\\slash', '*'])
        assert.ok(find(`srv/names/${Buffer.from(name).toString('latin1')}`), name)
    })

    it('has owners, modes and times', () => {
      const { mode, uid, gid, mtime } = find('srv/owned/set-uid') ?? {}
      assert.deepEqual({ mode, uid, gid, mtime }, { mode: 0o4751, uid: 1000, gid: 2000, mtime: -1 })
      assert.equal(find('srv/owned/large-ids')?.uid, 3_000_000_000)
      assert.equal(find('srv/owned')?.mtime, RICH_TIME)
    })

    it('has devices and pipes, and no sockets', () => {
      assert.deepEqual(find('srv/special/console')?.node, { type: 'character', major: 5, minor: 1 })
      assert.deepEqual(find('srv/special/disk')?.node, { type: 'block', major: 259, minor: 70_000 })
      assert.equal(find('srv/special/pipe')?.node.type, 'fifo')
      assert.equal(find('srv/special/socket'), undefined)
    })

    it('has extended attributes, whether they stand in the inode or in a block', () => {
      assert.deepEqual(extended('ping')?.get('security.capability'), CAPABILITY)
      assert.deepEqual(extended('shared')?.get('system.posix_acl_access'), ACCESS_LIST)
      assert.deepEqual(
        Object.fromEntries(
          [...(extended('several') ?? [])].map(([key, value]) => [key, value.length]),
        ),
        { 'trusted.deep': 12, 'user.colour': 11, 'user.empty': 0, 'user.large': 2000 },
      )
    })

    it('has holes where files have them', async () => {
      assert.deepEqual(find('srv/sparse/holes')?.node, {
        type: 'file',
        size: SPARSE.size,
        data: SPARSE.data.map((offset) => ({ offset, length: SPARSE.length })),
      })
      assert.deepEqual(find('srv/sparse/empty')?.node, { type: 'file', size: 0, data: [] })
    })

    it('has nothing of what lives only while a guest runs', () => {
      for (const name of ['tmp', 'run', 'dev', 'proc', 'sys', 'boot/efi']) {
        assert.equal(find(name)?.node.type, 'directory', name)
        assert.deepEqual(
          [...members.keys()].filter((one) => one.startsWith(`${name}/`)),
          [],
          name,
        )
      }
    })

    it('gives the tree back when GNU tar unpacks it', async () => {
      const tree = at('unpacked')
      await mkdir(tree)
      const words = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', path]
      await runTool(['tar', '-C', tree, ...words])
      const shown = await runTool(['getfattr', '-n', 'security.capability', '-e', 'hex', '--absolute-names', join(tree, 'srv/attributes/ping')]) // prettier-ignore
      assert.match(shown.toString(), new RegExp(`=0x${CAPABILITY.toString('hex')}`))
      const sparse = await readFile(join(tree, 'srv/sparse/holes'))
      assert.equal(sparse.length, SPARSE.size)
      for (const [index, offset] of SPARSE.data.entries())
        assert.ok(
          sparse.subarray(offset, offset + 64 * KiB).equals(Buffer.alloc(64 * KiB, index + 1)),
        )
      const busybox = await readFile(join(tree, 'usr/bin/busybox'))
      assert.ok(busybox.equals(await readFile(findProgram('busybox') ?? '')))
    })

    it('is the same through the sandbox, which leaves none of its own files in it', async () => {
      assert.equal(await digestOf(await archive(image, 'sandbox')), await digestOf(path))
      assert.deepEqual(await readdir(at('temp-sandbox')), [])
    })

    it(
      'is the same through the appliance',
      { skip: available ? false : missing, timeout: 600_000 },
      async () => {
        assert.equal(await digestOf(await archive(image, 'appliance')), await digestOf(path))
        assert.deepEqual(await readdir(at('temp-appliance')), [])
      },
    )

    it('is not made of an image that is being changed', async () => {
      await assert.rejects(archive(image, 'sandbox', 'change'), failsWith('REMOTE_CANNOT'))
    })

    it('has what fstab mounts below the root', async () => {
      const separate = at('separate')
      const files = { '/srv/data/inside': 'x', '/srv/outside': 'x' }
      await makeTinyImage(separate, { size: 64 * MiB, separate: '/srv/data', files })
      const read = await archive(separate, 'read')
      const found = await membersOf(read)
      assert.equal(found.get('srv/data/inside')?.node.type, 'file')
      assert.equal(found.get('srv/outside')?.node.type, 'file')
      assert.equal(await digestOf(await archive(separate, 'sandbox')), await digestOf(read))
    })

    it('has names that are not UTF-8 where a kernel reads them, and says so where it does not', async () => {
      const other = at('bytes')
      await makeTinyImage(other, {
        lay: async (tree) =>
          void (await runTool(['sh', '-c', 'touch "$0/$(printf \'srv/\\377\')"', tree])),
      })
      await assert.rejects(archive(other, 'read'), failsWith('REMOTE_CANNOT'))
      assert.ok((await membersOf(await archive(other, 'sandbox'))).has('srv/\xff'))
    })
  },
)

describe('holes of a file', () => {
  for (const fileSystem of ['ext2', 'ext4'] as const)
    it(`cost nothing on ${fileSystem}, however large they are`, async () => {
      const path = at(`large-${fileSystem}`)
      await makeTinyImage(path, {
        fileSystem,
        lay: async (tree) => {
          await runTool(['truncate', '-s', '1T', join(tree, 'srv/large')])
          await using file = await open(join(tree, 'srv/large'), 'r+')
          await file.write('x', 700 * GiB)
        },
      })
      const archived = await archive(path, 'read')
      const node = (await membersOf(archived)).get('srv/large')?.node
      assert.deepEqual(node, {
        type: 'file',
        size: 1024 * GiB,
        data: [{ offset: 700 * GiB, length: 4 * KiB }],
      })
      assert.ok((await stat(archived)).size < 4 * MiB)
      assert.match(await digestOf(archived), /^[0-9a-f]{64}$/)
    })
})

/** An image whose file system was changed by debugfs. */
async function damaged(name: string, commands: readonly string[], files = {}): Promise<string> {
  const path = at(name)
  const mkfs = ['-O', '^metadata_csum']
  await makeTinyImage(path, { layout: 'none', mkfs, files })
  await runTool(['debugfs', '-w', '-f', '-', path], { input: commands.join('\n') })
  return path
}

/** Whether an image was refused for this reason. */
const refused = (why: RegExp) => (error: unknown) =>
  failsWith('IMAGE_UNSAFE')(error) && error instanceof Error && why.test(error.message)

describe('reading refuses to archive', () => {
  it('a directory that holds itself', async () => {
    const image = await damaged('loop', ['link /srv /srv/again'])
    await assert.rejects(archive(image, 'read'), refused(/a second name, .*, for a directory/))
  })

  it('directories that stand deeper than any path goes', async () => {
    const down = Array.from({ length: 20 }, () => [`mkdir ${LONG_NAME}`, `cd ${LONG_NAME}`])
    const image = await damaged('deep', ['cd /srv', ...down.flat()])
    await assert.rejects(archive(image, 'read'), refused(/a path of \d+ bytes/))
  })

  it('files that share their blocks, which would grow without bounds', async () => {
    const names = ['b', 'c', 'd', 'e', 'f']
    const files = Object.fromEntries(
      ['a', ...names].map((name) => [
        `/srv/${name}`,
        { content: name === 'a' ? Buffer.alloc(12 * MiB, 1) : '' },
      ]),
    )
    const copies = names.map((name) => `copy_inode /srv/a /srv/${name}`)
    const image = await damaged('shared', copies, files)
    await assert.rejects(
      archive(image, 'read'),
      refused(/files that hold more bytes than the disk/),
    )
  })

  it('attributes that stand outside the disk', async () => {
    const image = await damaged('far', ['sif /srv file_acl 99999999'])
    await assert.rejects(archive(image, 'read'), refused(/attributes in block 99999999/))
  })

  it('attributes that are none', async () => {
    const image = await damaged('none', ['sif /srv file_acl 100'])
    await assert.rejects(archive(image, 'read'), refused(/this is no block of attributes/))
  })

  it('files of more bytes than there can be', async () => {
    const image = await damaged('huge', ['sif /etc/hosts size 0x7fffffffffffff'])
    await assert.rejects(archive(image, 'read'), refused(/a file of \d+ bytes/))
  })
})
