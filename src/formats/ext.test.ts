import assert from 'node:assert/strict'
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runProcess, runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { openFileSource } from '../bytes/source.ts'
import { noise } from '../testing/contract-tree.ts'
import {
  type ExtOptions,
  findInode,
  layFiles,
  layHoles,
  makeExt,
  makeExtImage,
  makeSparse,
  withTree,
} from '../testing/ext-image.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type Ext, type Inode, openExt } from './ext.ts'

const at = await tempDir()

/** A tree with one of everything that file systems store in different ways. */
async function layTree(tree: string): Promise<void> {
  const sizes = [0, 1, 59, 60, 61, 100, 159, 160, 161, 1023, 1024, 1025, 4096, 300 * KiB]
  await layFiles(
    tree,
    Object.fromEntries(sizes.map((size) => [`/size-${size}`, { content: noise(size) }])),
  )
  const many = Array.from({ length: 400 }, (_, index) => [`/many/a file with number ${index}`, ''])
  await layFiles(tree, Object.fromEntries(many))
  await layFiles(tree, {
    '/few/a': 'a',
    '/few/b': 'b',
    '/ünï 🦆': 'duck',
    [`/${'n'.repeat(255)}`]: 'long',
  })
  for (const length of [1, 10, 59, 60, 61, 200, 1000])
    await symlink('t'.repeat(length), join(tree, `link-${length}`))
  for (const mode of [0o4755, 0o600, 0]) await writeFile(join(tree, `mode-${mode}`), '', { mode })
  await chmod(join(tree, 'mode-2541'), 0o4755)
  await mkdir(join(tree, 'open'))
  await chmod(join(tree, 'open'), 0o1777)
  await runTool(['mkfifo', join(tree, 'pipe')])
  await layHoles(join(tree, 'holes'))
}

/** Everything below a directory is read and must be as it is on the host. */
async function compare(ext: Ext, directory: Inode, host: string): Promise<void> {
  const entries = await ext.entries(directory)
  const names = (await readdir(host)).sort()
  assert.deepEqual([...entries.keys()].filter((name) => name !== 'lost+found').sort(), names, host)
  for (const name of names) {
    const path = join(host, name)
    const wanted = await lstat(path)
    const inode = await ext.inode(entries.get(name) ?? 0)
    const type = wanted.isFile()
      ? 'file'
      : wanted.isDirectory()
        ? 'directory'
        : wanted.isSymbolicLink()
          ? 'link'
          : 'other'
    assert.deepEqual(
      [inode.type, inode.mode, inode.uid, inode.gid, inode.mtime],
      [type, wanted.mode & 0o7777, 0, 0, Math.floor(wanted.mtimeMs / 1000)],
      path,
    )
    if (type === 'directory') await compare(ext, inode, path)
    if (type === 'link') assert.equal(await ext.target(inode), await readlink(path), path)
    if (type !== 'file') continue
    const content = await ext.read(inode, inode.size)
    assert.equal(Buffer.compare(content, await readFile(path)), 0, `${path}: contents differ`)
  }
}

describe('what mke2fs put into a file system is read back: names, contents, modes, times', () => {
  const variants: Record<string, [NonNullable<ExtOptions['fileSystem']>, ...string[]]> = {
    'ext2, 1 KiB blocks': ['ext2', '-b', '1024'],
    'ext2, revision 0': ['ext2', '-r', '0', '-b', '1024'],
    'ext2, 4 KiB blocks': ['ext2', '-b', '4096'],
    ext3: ['ext3'],
    ext4: ['ext4', '-b', '4096'],
    'ext4, 1 KiB blocks': ['ext4', '-b', '1024'],
    'ext4, 64 KiB blocks': ['ext4', '-b', '65536'],
    'ext4 with block maps': ['ext4', '-O', '^extents,^64bit'],
    'ext4 without check sums': ['ext4', '-O', '^metadata_csum'],
    'ext4 without 64 bits': ['ext4', '-O', '^64bit'],
    'ext4 with check sums of groups only': ['ext4', '-O', '^metadata_csum,uninit_bg'],
    'ext4 with a seed of its own': ['ext4', '-O', 'metadata_csum_seed'],
    'ext4 with data in inodes': ['ext4', '-O', 'inline_data', '-b', '1024'],
    'ext4 with data in large inodes': ['ext4', '-O', 'inline_data', '-I', '1024'],
    'ext4 with small inodes': ['ext4', '-I', '128'],
    'ext4 with descriptors in groups': [
      'ext4',
      '-O',
      'meta_bg,^resize_inode',
      '-b',
      '1024',
      '-g',
      '512',
    ],
    'ext4 with descriptors in groups, copies in all': [
      'ext4',
      '-O',
      'meta_bg,^resize_inode,^sparse_super',
      '-b',
      '1024',
      '-g',
      '512',
    ],
    'ext4 with two copies only': ['ext4', '-O', 'sparse_super2', '-b', '1024', '-g', '2048'],
    'ext4 with clusters': ['ext4', '-O', 'bigalloc', '-C', '16384'],
    'ext4 with all that does not matter here': [
      'ext4',
      '-O',
      'large_dir,ea_inode,project,quota,encrypt,mmp,verity,^has_journal',
    ],
  }
  let tree = ''
  let done = Promise.withResolvers<void>()
  before(async () => {
    const ready = Promise.withResolvers<void>()
    void withTree(async (made) => {
      await layTree(made)
      tree = made
      ready.resolve()
      await done.promise
    }).catch(ready.reject)
    await ready.promise
  })
  after(() => done.resolve())

  for (const [index, [name, [fileSystem, ...mkfs]]] of Object.entries(variants).entries())
    it(name, async () => {
      const path = at(`variant-${index}`)
      await makeSparse(path, 24 * MiB)
      const options = { fileSystem, mkfs: ['-N', '2048', ...mkfs] }
      await makeExt(path, { offset: 0, length: 24 * MiB }, tree, options)
      await using file = await openFileSource(path)
      const ext = await openExt(file)
      await compare(ext, await ext.inode(ext.root), tree)
    })

  for (const options of [[], ['-O', '^metadata_csum']])
    it(`hashed directories ${options.join(' ')}`, async () => {
      const path = at('hashed')
      await makeSparse(path, 24 * MiB)
      await makeExt(path, { offset: 0, length: 24 * MiB }, tree, { mkfs: options })
      const { code } = await runProcess(['e2fsck', '-fyD', path])
      assert.ok(code <= 1, `e2fsck ended with ${code}`)
      const flags = await runTool(['debugfs', '-R', 'stat /many', path])
      assert.match(flags.toString(), /Flags: 0x81000/, 'the directory is not hashed')
      await using file = await openFileSource(path)
      const ext = await openExt(file)
      await compare(ext, await ext.inode(ext.root), tree)
    })
})

it('a file is read through three levels of blocks', async () => {
  await withTree(async (tree) => {
    await using file = await open(join(tree, 'far'), 'w')
    for (const offset of [0, 20 * KiB, MiB, 70 * MiB])
      await file.write(noise(3000), 0, 3000, offset)
    await makeSparse(at('far'), 4 * MiB)
    const options = { fileSystem: 'ext2', mkfs: ['-b', '1024'] } as const
    await makeExt(at('far'), { offset: 0, length: 4 * MiB }, tree, options)
    await using image = await openFileSource(at('far'))
    const ext = await openExt(image)
    const found = await ext.read(await findInode(ext, '/far'), 71 * MiB)
    assert.equal(Buffer.compare(found, await readFile(join(tree, 'far'))), 0)
  })
})

it('times before 1970 and after 2038 are read', async () => {
  await makeExtImage(at('times'), MiB, { '/old': '', '/new': '' }, { mkfs: ['-I', '256'] })
  const commands = [
    'sif /old mtime_lo 0xffffff00',
    'sif /new mtime_lo 100',
    'sif /new mtime_extra 1',
  ]
  await runTool(['debugfs', '-w', at('times')], { input: commands.join('\n') })
  await using image = await openFileSource(at('times'))
  const ext = await openExt(image)
  assert.equal((await findInode(ext, '/old')).mtime, -256)
  assert.equal((await findInode(ext, '/new')).mtime, 2 ** 32 + 100)
})

it('a hole at the end of a file is read as zeros', async () => {
  await makeExtImage(at('end'), MiB, { '/file': 'x'.repeat(5000) })
  await runTool(['debugfs', '-w', at('end')], { input: 'sif /file size 50000' })
  await using image = await openFileSource(at('end'))
  const ext = await openExt(image)
  const found = Buffer.from(await ext.read(await findInode(ext, '/file'), 100_000))
  assert.deepEqual(found, Buffer.concat([Buffer.alloc(5000, 'x'), Buffer.alloc(45_000)]))
})

it('owners above 65535 are read', async () => {
  await makeExtImage(at('owners'), MiB, { '/file': '' })
  const commands = ['sif /file uid 1234567', 'sif /file gid 7654321']
  await runTool(['debugfs', '-w', at('owners')], { input: commands.join('\n') })
  await using image = await openFileSource(at('owners'))
  const ext = await openExt(image)
  const { uid, gid } = await findInode(ext, '/file')
  assert.deepEqual([uid, gid], [1234567, 7654321])
})
