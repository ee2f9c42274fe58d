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
import * as fc from 'fast-check'
import { type FailureCode, isFailure } from '../base/failure.ts'
import { runProcess, runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource, openFileSource, type Source } from '../bytes/source.ts'
import { noise } from '../testing/contract-tree.ts'
import {
  type ExtOptions,
  layFiles,
  makeExt,
  makeExtImage,
  makeSparse,
  withTree,
} from '../testing/ext-image.ts'
import { damaged } from '../testing/mutations.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type Ext, type Inode, openExt } from './ext.ts'

const at = await tempDir()

async function find(ext: Ext, path: string): Promise<Inode> {
  let inode = await ext.inode(ext.root)
  for (const name of path.split('/').filter((name) => name !== '')) {
    const number = (await ext.entries(inode)).get(name)
    assert.ok(number !== undefined, `${path}: no ${name}`)
    inode = await ext.inode(number)
  }
  return inode
}

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

/** Data and holes of 4 KiB in turn: four hundred extents. */
async function layHoles(path: string): Promise<void> {
  await using file = await open(path, 'w')
  for (let index = 0; index < 400; index++)
    await file.write(Buffer.alloc(4 * KiB, index % 250), 0, 4 * KiB, index * 8 * KiB)
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
    const found = await ext.read(await find(ext, '/far'), 71 * MiB)
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
  assert.equal((await find(ext, '/old')).mtime, -256)
  assert.equal((await find(ext, '/new')).mtime, 2 ** 32 + 100)
})

it('a hole at the end of a file is read as zeros', async () => {
  await makeExtImage(at('end'), MiB, { '/file': 'x'.repeat(5000) })
  await runTool(['debugfs', '-w', at('end')], { input: 'sif /file size 50000' })
  await using image = await openFileSource(at('end'))
  const ext = await openExt(image)
  const found = Buffer.from(await ext.read(await find(ext, '/file'), 100_000))
  assert.deepEqual(found, Buffer.concat([Buffer.alloc(5000, 'x'), Buffer.alloc(45_000)]))
})

it('owners above 65535 are read', async () => {
  await makeExtImage(at('owners'), MiB, { '/file': '' })
  const commands = ['sif /file uid 1234567', 'sif /file gid 7654321']
  await runTool(['debugfs', '-w', at('owners')], { input: commands.join('\n') })
  await using image = await openFileSource(at('owners'))
  const ext = await openExt(image)
  const { uid, gid } = await find(ext, '/file')
  assert.deepEqual([uid, gid], [1234567, 7654321])
})

/** A small file system in memory, with what debugfs does to it. */
async function small(mkfs: readonly string[], ...commands: string[]): Promise<Buffer> {
  const files = {
    '/directory/file': { content: noise(20 * KiB) },
    '/directory/inner/deep': 'deep',
    '/link': { link: 'directory/file' },
    '/long-link': { link: '/'.repeat(90) },
    '/tiny': 'tiny',
    '/holes': {
      content: Buffer.concat(Array.from({ length: 20 }, (_, n) => Buffer.alloc(2 * KiB, n % 2))),
    },
  }
  await makeExtImage(at('small'), MiB, files, { mkfs: ['-b', '1024', ...mkfs] })
  if (commands.length > 0)
    await runTool(['debugfs', '-w', at('small')], { input: commands.join('\n') })
  return await readFile(at('small'))
}

/** Where something stands, from debugfs: a block of a file, or a file's inode. */
async function place(command: 'bmap' | 'imap', path: string): Promise<number> {
  const argument = command === 'bmap' ? `${path} 0` : path
  const answer = (
    await runTool(['debugfs', '-R', `${command} ${argument}`, at('small')])
  ).toString()
  const [, block, offset = '0'] =
    /(?:block )?(\d+)(?:, offset (0x[0-9a-f]+))?\s*$/.exec(answer) ?? []
  assert.ok(block !== undefined, answer)
  return Number(block) * KiB + Number(offset)
}

async function walkAll(ext: Ext, number: number, budget = { inodes: 500 }): Promise<void> {
  if (budget.inodes-- <= 0) return
  const inode = await ext.inode(number)
  if (inode.type === 'link') await ext.target(inode)
  if (inode.type === 'file') await ext.read(inode, MiB)
  if (inode.type === 'directory')
    for (const child of (await ext.entries(inode)).values()) await walkAll(ext, child, budget)
}

async function refuses(bytes: Buffer, code: FailureCode, says: RegExp): Promise<void> {
  const walked = openExt(memorySource(bytes, 'disk')).then((ext) => walkAll(ext, ext.root))
  await assert.rejects(walked, (error) => {
    assert.ok(isFailure(error, code), String(error))
    assert.match(error.message, says)
    return true
  })
}

/** With its superblock changed. */
async function patched(
  mkfs: readonly string[],
  patch: (superblock: Buffer) => void,
): Promise<Buffer> {
  const bytes = await small(mkfs)
  patch(bytes.subarray(1024, 2048))
  return bytes
}

/** The small one with one bit changed. */
async function flipped(offset: number): Promise<Buffer> {
  const bytes = await readFile(at('small'))
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset)
  return bytes
}

const PLAIN = ['-O', '^metadata_csum,^has_journal']

describe('a file system that was not unmounted cleanly is refused, since its journal was not read', () => {
  it('when the journal holds changes', async () => {
    const bytes = await patched(['-O', '^metadata_csum'], (block) =>
      block.writeUInt8(block.readUInt8(96) | 4, 96),
    )
    await refuses(bytes, 'FILE_SYSTEM_DIRTY', /journal holds changes/)
  })

  it('when there is no journal and it was in use', async () => {
    const bytes = await patched(PLAIN, (block) => block.writeUInt16LE(0, 58))
    await refuses(bytes, 'FILE_SYSTEM_DIRTY', /not unmounted cleanly/)
  })

  it('when errors were found in it', async () => {
    const bytes = await patched(PLAIN, (block) => block.writeUInt16LE(3, 58))
    await refuses(bytes, 'FILE_SYSTEM_DIRTY', /errors/)
  })
})

describe('what cannot be read rightly is refused', () => {
  for (const [feature, name] of [
    ['casefold', /case-insensitive/],
    ['dirdata', /data in directories/],
    ['journal_dev', /external journal/],
  ] as const)
    it(`with ${feature}`, async () => {
      const bytes = await small(PLAIN)
      const bit = { casefold: 0x20000, dirdata: 0x1000, journal_dev: 0x8 }[feature]
      bytes.writeUInt32LE(bytes.readUInt32LE(1024 + 96) | bit, 1024 + 96)
      await refuses(bytes, 'FILE_SYSTEM_UNSUPPORTED', name)
    })

  it('with a feature of the future', async () => {
    const bytes = await small(PLAIN)
    bytes.writeUInt8(0x80, 1024 + 99)
    await refuses(bytes, 'FILE_SYSTEM_UNSUPPORTED', /features 0x80000000/)
  })

  it('when a file is encrypted', async () => {
    const bytes = await small(PLAIN, 'sif /tiny flags 0x80800')
    await refuses(bytes, 'FILE_SYSTEM_ENCRYPTED', /encrypted/)
  })

  it('when it is cut short', async () => {
    const bytes = await small(PLAIN)
    await refuses(bytes.subarray(0, MiB / 2), 'IMAGE_TRUNCATED', /needs 1048576 bytes/)
  })
})

describe('a check sum that is wrong is noticed', () => {
  const cases: Record<string, () => Promise<number>> = {
    superblock: async () => 1024 + 120,
    descriptor: async () => 2048 + 12,
    inode: async () => (await place('imap', '/directory/file')) + 16,
    'directory|entries': async () => (await place('bmap', '/directory')) + 8,
  }
  for (const [what, where] of Object.entries(cases))
    it(`of a ${what}`, async () => {
      await small([])
      await refuses(
        await flipped(await where()),
        'IMAGE_UNREADABLE',
        new RegExp(`(?:${what}).*wrong check sum`),
      )
    })

  it('of a node of extents', async () => {
    await withTree(async (tree) => {
      await layHoles(join(tree, 'holes'))
      await makeSparse(at('small'), 16 * MiB)
      await makeExt(at('small'), { offset: 0, length: 16 * MiB }, tree, { mkfs: ['-b', '1024'] })
    })
    const dump = (await runTool(['debugfs', '-R', 'dump_extents /holes', at('small')])).toString()
    const [, node] = /^ ?0\/ ?\d+ +\d+\/ *\d+ +\d+ - +\d+ +(\d+)/m.exec(dump) ?? []
    await refuses(
      await flipped(Number(node) * KiB + 500),
      'IMAGE_UNREADABLE',
      /block \d+.*wrong check sum/,
    )
  })
})

describe('a file system made to harm', () => {
  it('whose extents lead back to themselves ends', async () => {
    const bytes = await small(PLAIN)
    const inode = await place('imap', '/directory/file')
    const own = Math.floor(inode / KiB)
    bytes.writeUInt16LE(1, inode + 40 + 6) // a level below, which is the block of this very inode
    bytes.writeUInt32LE(own, inode + 40 + 12 + 4)
    bytes.writeUInt16LE(0, inode + 40 + 12 + 8)
    await refuses(bytes, 'IMAGE_UNSAFE', /no node of an extent tree/)
  })

  it('whose extent tree is deeper than any is refused', async () => {
    const bytes = await small(PLAIN)
    bytes.writeUInt16LE(200, (await place('imap', '/directory/file')) + 40 + 6)
    await refuses(bytes, 'IMAGE_UNSAFE', /with 200 levels/)
  })

  it('whose block map leads back to itself is read to its end and no further', async () => {
    const bytes = await small(['-O', '^metadata_csum,^has_journal,^extents,^64bit'])
    const inode = await place('imap', '/directory/file')
    const indirect = bytes.readUInt32LE(inode + 40 + 12 * 4)
    for (let entry = 0; entry < 256; entry++)
      bytes.writeUInt32LE(indirect, indirect * KiB + entry * 4)
    bytes.writeUInt32LE(indirect, inode + 40 + 13 * 4)
    bytes.writeUInt32LE(indirect, inode + 40 + 14 * 4)
    bytes.writeUInt32LE(0x7fffffff, inode + 4)
    const ext = await openExt(memorySource(bytes))
    assert.equal((await ext.read(await find(ext, '/directory/file'), MiB)).length, MiB)
  })

  it('with a file of 2^60 bytes gives as many as were asked for', async () => {
    const bytes = await small(PLAIN)
    const inode = await place('imap', '/tiny')
    bytes.writeUInt32LE(0x10000000, inode + 108)
    const ext = await openExt(memorySource(bytes))
    const file = await find(ext, '/tiny')
    assert.ok(file.size > 2 ** 59)
    assert.equal((await ext.read(file, 10)).toString().length, 10)
  })

  it('with a block behind its end is refused', async () => {
    const bytes = await small(PLAIN)
    bytes.writeUInt32LE(0x00ffffff, (await place('imap', '/directory/file')) + 40 + 12 + 8)
    await refuses(bytes, 'IMAGE_UNSAFE', /no \d+ blocks from 16777215 on/)
  })

  it('with an endless directory is refused', async () => {
    const bytes = await small(PLAIN)
    const inode = await place('imap', '/directory')
    bytes.writeUInt32LE(0x40000000, inode + 4)
    await refuses(bytes, 'IMAGE_UNSAFE', /an entry of 0 bytes/)
    bytes.writeUInt32LE(1, inode + 108)
    bytes.writeUInt16LE(KiB, (await place('bmap', '/directory')) + 4) // one unused entry a block
    bytes.writeUInt32LE(0, await place('bmap', '/directory'))
    await refuses(bytes, 'IMAGE_UNSAFE', /./)
  })

  it('with a directory inside itself is read as deep as one goes', async () => {
    const bytes = await small(PLAIN, 'link /directory /directory/inner/again')
    const ext = await openExt(memorySource(bytes))
    const way = `/directory${'/inner/again'.repeat(50)}`
    assert.equal(
      Buffer.from(await ext.read(await find(ext, `${way}/inner/deep`), 10)).toString(),
      'deep',
    )
  })

  it('with an inode that does not exist is refused', async () => {
    const bytes = await small(PLAIN)
    bytes.writeUInt32LE(0x7fffffff, (await place('bmap', '/directory')) + 24)
    await refuses(bytes, 'IMAGE_UNSAFE', /inode 2147483647 does not exist/)
  })

  it('with a name that is a path, or holds a NUL byte, is refused', async () => {
    const bytes = await small(PLAIN)
    for (const odd of ['/', '\0']) {
      bytes.write(odd, (await place('bmap', '/directory')) + 24 + 8 + 2)
      await refuses(bytes, 'IMAGE_UNSAFE', /cannot be the name of a file/)
    }
  })

  it('with a link of a gigabyte is refused', async () => {
    const bytes = await small(PLAIN)
    bytes.writeUInt32LE(0x40000000, (await place('imap', '/link')) + 4)
    await refuses(bytes, 'IMAGE_UNSAFE', /a symbolic link of 1073741824 bytes/)
  })
})

describe('a damaged file system is read or refused, and no more is read than it has', () => {
  const variants: Record<string, string[]> = {
    'with extents': PLAIN,
    'with block maps': ['-O', '^metadata_csum,^has_journal,^extents,^64bit'],
    'with data in inodes': ['-O', '^metadata_csum,^has_journal,inline_data'],
    'with check sums': ['-O', '^has_journal'],
  }
  for (const [name, mkfs] of Object.entries(variants))
    it(name, async () => {
      const bytes = await small(mkfs)
      const superblock = [1024, 1024 + 400] as const
      const descriptors = [2048, 2048 + 64] as const
      const start = Math.floor((await place('imap', '<2>')) / KiB) * KiB
      const inodes = [start, start + 6 * KiB] as const
      const root = await place('bmap', name === 'with data in inodes' ? '/directory/file' : '/')
      const directory = [root, root + KiB] as const
      const ranges = [superblock, descriptors, inodes, inodes, directory]
      await fc.assert(
        fc.asyncProperty(damaged(bytes, ranges), async (damagedBytes) => {
          let total = 0
          const memory = memorySource(damagedBytes)
          const source: Source = {
            ...memory,
            read: async (offset, length) => {
              total += length
              return await memory.read(offset, length)
            },
          }
          try {
            const ext = await openExt(source)
            await walkAll(ext, ext.root)
          } catch (error) {
            if (!isFailure(error)) throw error
          }
          assert.ok(total < 200 * MiB, `read ${total} bytes`)
        }),
        { numRuns: 250 },
      )
    })
})
