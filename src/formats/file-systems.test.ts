import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findProgram, runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource, openFileSource } from '../bytes/source.ts'
import { makeSparse } from '../testing/ext-image.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { probeFileSystem } from './file-systems.ts'

const at = await tempDir()

describe('a file system is recognised as blkid does', () => {
  const cases: Record<string, { size: number; argv: string[] }> = {
    ext2: { size: 4 * MiB, argv: ['mke2fs', '-q', '-t', 'ext2', '-L', 'second'] },
    ext3: { size: 16 * MiB, argv: ['mke2fs', '-q', '-t', 'ext3', '-L', 'third one'] },
    ext4: { size: 16 * MiB, argv: ['mke2fs', '-q', '-t', 'ext4'] },
    'ext4 without journal': {
      size: 4 * MiB,
      argv: ['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal'],
    },
    xfs: { size: 320 * MiB, argv: ['mkfs.xfs', '-q', '-L', 'label'] },
    btrfs: { size: 120 * MiB, argv: ['mkfs.btrfs', '-q', '-L', 'butter'] },
    FAT12: { size: 2 * MiB, argv: ['mkfs.vfat', '-F', '12', '-n', 'SMALL'] },
    FAT16: { size: 16 * MiB, argv: ['mkfs.vfat', '-F', '16'] },
    FAT32: { size: 40 * MiB, argv: ['mkfs.vfat', '-F', '32', '-n', 'EFI'] },
    swap: { size: 2 * MiB, argv: ['mkswap', '-q', '-L', 'more'] },
    LUKS: {
      size: 20 * MiB,
      argv: [
        'cryptsetup',
        '-q',
        'luksFormat',
        '--pbkdf',
        'pbkdf2',
        '--pbkdf-force-iterations',
        '1000',
        '--key-file',
        at('key'),
      ],
    },
  }
  for (const [name, { size, argv }] of Object.entries(cases)) {
    const skip = findProgram(argv[0] ?? '') === undefined ? `${argv[0]} is not installed` : false
    it(name, { skip }, async () => {
      const path = at(name.replaceAll(' ', '-'))
      await writeFile(at('key'), 'key')
      await makeSparse(path, size)
      await runTool([...argv, path])
      const judge = (await runTool(['blkid', '-p', '-o', 'export', path])).toString()
      const tag = (key: string) =>
        new RegExp(`^${key}=(.*)$`, 'm').exec(judge)?.[1]?.replaceAll('\\', '') ?? ''
      await using file = await openFileSource(path)
      assert.deepEqual(await probeFileSystem(file), {
        type: tag('TYPE'),
        uuid: tag('UUID'),
        label: tag('LABEL'),
      })
    })
  }
})

it('an LVM physical volume is told by its label, in any of the first four sectors', async () => {
  for (const sector of [0, 1, 2, 3]) {
    const bytes = Buffer.alloc(MiB)
    bytes.write('LABELONE', sector * 512)
    bytes.write('LVM2 001', sector * 512 + 24)
    assert.equal((await probeFileSystem(memorySource(bytes)))?.type, 'LVM2_member')
  }
})

it('nothing is recognised in zeros, and in whatever is too short', async () => {
  for (const size of [0, 1, 512, 1081, 68 * KiB])
    assert.equal(await probeFileSystem(memorySource(Buffer.alloc(size))), undefined)
})

it('any bytes have an answer', async () => {
  const magics = fc.constantFrom(
    [0, 'XFSB'],
    [0, 'LUKS\xba\xbe'],
    [1080, '\x53\xef'],
    [54, 'FAT16   '],
    [82, 'FAT32   '],
    [4086, 'SWAPSPACE2'],
    [65600, '_BHRfS_M'],
  ) as fc.Arbitrary<[number, string]>
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 70 * KiB }),
      magics,
      async (bytes, [offset, magic]) => {
        Buffer.from(bytes.buffer).write(magic, Math.min(offset, bytes.length), 'latin1')
        const found = await probeFileSystem(memorySource(bytes))
        assert.ok(found === undefined || found.type !== '')
      },
    ),
  )
})
