import assert from 'node:assert/strict'
import { chmod, link, mkdir, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { findProgram, runProcess, runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { openFileSource } from '../../bytes/source.ts'
import { readPartitions } from '../../formats/partitions.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { BootFiles } from './boot-loader.ts'
import { digestFile } from './digest-file.ts'
import { toDiskIdentity } from './disk-identity.ts'
import { makeDisk } from './make-disk.ts'
import type { FileSystemType } from './tree-builder.ts'
import { readFileClock, settleTree } from './tree.ts'

const at = await tempDir()
const context = makeContext()
const identity = toDiskIdentity('test')
const time = new Date('2026-01-31T12:00:00Z')
const oldTime = new Date('2020-02-02T02:02:02Z')
const SIZE = 256 * MiB
const rootOffset = 64 * MiB

const core = Buffer.alloc(20_000, 0xdd)
core.writeUInt16LE(0x820, 0x1fe)
const bootImage = Buffer.alloc(512)
bootImage.writeUInt16BE(0x55aa, 510)
const boot: BootFiles = {
  bios: { bootImage, coreImage: core },
  uefi: new Map([['EFI/BOOT/BOOTX64.EFI', Buffer.alloc(9000, 0xee)]]),
}

/** Files of every kind, and a directory of many; made in the order of `names`, one read on its own day. */
async function layTree(tree: string, names: readonly string[]): Promise<void> {
  const lastRead = Number(names[0]?.slice('file-'.length)) * 1000
  await mkdir(join(tree, 'usr/many'), { recursive: true })
  for (const name of names) await writeFile(join(tree, 'usr/many', name), name)
  await writeFile(join(tree, 'usr/packaged'), 'came with its own time\n')
  await utimes(join(tree, 'usr/packaged'), lastRead, oldTime)
  await writeFile(join(tree, 'program'), '#!/bin/sh\n')
  await chmod(join(tree, 'program'), 0o4755)
  await link(join(tree, 'program'), join(tree, 'same-program'))
  await symlink('usr/packaged', join(tree, 'short-link'))
  await symlink(`/${'far/'.repeat(40)}`, join(tree, 'long-link'))
  await writeFile(join(tree, 'Größe mit Leerzeichen\n'), Buffer.alloc(70_000, 7))
  await writeFile(join(tree, 'sparse'), 'begins')
  await truncate(join(tree, 'sparse'), 5 * MiB)
  await runTool(['mkfifo', join(tree, 'pipe')])
}

async function makeFrom(
  name: string,
  names: readonly string[],
  type: FileSystemType = 'ext4',
): Promise<string> {
  const [tree, scratch, disk] = [at(`${name}-tree`), at(`${name}-scratch`), at(`${name}.raw`)]
  await mkdir(scratch)
  const began = await readFileClock(scratch)
  await layTree(tree, names)
  await settleTree(tree, { began, time, launcher: [] }, context)
  const plan = { type, tree, disk, diskSize: SIZE, boot, identity, time, launcher: [], scratch }
  await makeDisk(plan, context)
  return disk
}

/** What debugfs shows of the first disk's root. */
async function ask(request: string): Promise<string> {
  const argv = ['debugfs', '-R', request, `${at('first.raw')}?offset=${rootOffset}`]
  return (await runTool(argv)).toString()
}

function seconds(date: Date): string {
  return `0x${(date.getTime() / 1000).toString(16)}:00000000`
}

const many = Array.from({ length: 600 }, (_, index) => `file-${index * 7919}`)
const needs = (...programs: string[]) => {
  const missing = programs.filter((program) => findProgram(program) === undefined)
  return { skip: missing.length > 0 ? `needs ${missing.join(', ')}` : false }
}

describe('a disk', () => {
  it(
    'is the same of two trees that hold the same, made in different order',
    needs('mke2fs', 'mkfifo'),
    async () => {
      const first = await makeFrom('first', many)
      const second = await makeFrom('second', many.toReversed())
      assert.deepEqual(await digestFile(first, context), await digestFile(second, context))
    },
  )

  it('has partitions and file systems without fault', needs('sgdisk', 'e2fsck', 'dd'), async () => {
    const disk = at('first.raw')
    assert.match((await runTool(['sgdisk', '--verify', disk])).toString(), /No problems found/)
    await using source = await openFileSource(disk)
    const { kind, partitions } = await readPartitions(source)
    assert.equal(kind, 'gpt')
    assert.deepEqual(
      partitions.map(({ number, label, offset }) => [number, label, offset]),
      [
        [1, 'root', rootOffset],
        [14, 'bios', MiB],
        [15, 'esp', 2 * MiB],
      ],
    )
    const check = await runProcess(['e2fsck', '-f', '-n', `${disk}?offset=${rootOffset}`])
    assert.equal(check.code, 0, check.stdout.toString() + check.stderr.toString())
    const esp = at('esp.raw')
    await runTool([
      'dd',
      `if=${disk}`,
      `of=${esp}`,
      `bs=${MiB}`,
      'skip=2',
      'count=62',
      'status=none',
    ])
    const fsck = await runProcess(['fsck.vfat', '-n', esp])
    assert.equal(fsck.code, 0, fsck.stdout.toString())
  })

  it(
    'holds the tree as it was, with the times of packages and one time for all else',
    needs('debugfs'),
    async () => {
      const packaged = await ask('stat /usr/packaged')
      for (const field of ['ctime', 'atime', 'mtime'])
        assert.ok(packaged.includes(`${field}: ${seconds(oldTime)}`), packaged)
      const program = await ask('stat /program')
      assert.match(program, /Mode: +04755/)
      assert.match(program, /Links: 2/)
      for (const field of ['ctime', 'atime', 'mtime', 'crtime'])
        assert.ok(program.includes(`${field}: ${seconds(time)}`), program)
      assert.match(await ask('stat /pipe'), /Type: FIFO/)
      assert.match(await ask('stat /short-link'), /Fast link dest: "usr\/packaged"/)
      assert.equal(await ask('cat /usr/packaged'), 'came with its own time\n')
    },
  )

  it('takes no more room than its content', async () => {
    const { size, blocks } = await stat(at('first.raw'))
    assert.equal(size, SIZE)
    assert.ok(blocks * 512 < 16 * MiB, `${blocks * 512} bytes`)
  })

  it('can have btrfs as its root', needs('mkfs.btrfs', 'btrfs'), async () => {
    const disk = await makeFrom('btrfs', many, 'btrfs')
    const root = at('btrfs-root.raw')
    await runTool([
      'dd',
      `if=${disk}`,
      `of=${root}`,
      `bs=${MiB}`,
      'skip=64',
      'conv=sparse',
      'status=none',
    ])
    const shown = (await runTool(['btrfs', 'filesystem', 'show', root])).toString()
    assert.match(shown, new RegExp(identity.rootUuid))
    assert.equal((await runProcess(['btrfs', 'check', '--readonly', root])).code, 0)
  })

  it('says so when the tree does not fit', needs('mke2fs'), async () => {
    const [tree, scratch] = [at('large-tree'), at('large-scratch')]
    await mkdir(tree)
    await mkdir(scratch)
    await writeFile(join(tree, 'large'), Buffer.alloc(80 * MiB, 1))
    const plan = { type: 'ext4' as const, tree, disk: at('large.raw'), boot, identity, time }
    const make = (diskSize: number) =>
      makeDisk({ ...plan, diskSize, launcher: [], scratch }, context)
    await assert.rejects(make(140 * MiB), { code: 'BUILD_FAILED', message: /does not fit/ })
    await assert.rejects(make(100 * MiB), { code: 'BUILD_FAILED', message: /no room/ })
  })
})
