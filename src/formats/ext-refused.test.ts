import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type FailureCode, isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource, type Source } from '../bytes/source.ts'
import { noise } from '../testing/contract-tree.ts'
import {
  findInode,
  layHoles,
  makeExt,
  makeExtImage,
  makeSparse,
  withTree,
} from '../testing/ext-image.ts'
import { damaged } from '../testing/mutations.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type Ext, openExt } from './ext.ts'

const at = await tempDir()

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
    assert.equal((await ext.read(await findInode(ext, '/directory/file'), MiB)).length, MiB)
  })

  it('with a file of 2^60 bytes gives as many as were asked for', async () => {
    const bytes = await small(PLAIN)
    const inode = await place('imap', '/tiny')
    bytes.writeUInt32LE(0x10000000, inode + 108)
    const ext = await openExt(memorySource(bytes))
    const file = await findInode(ext, '/tiny')
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
      Buffer.from(await ext.read(await findInode(ext, `${way}/inner/deep`), 10)).toString(),
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
