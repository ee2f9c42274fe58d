import assert from 'node:assert/strict'
import { link, mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { countTree, readFileClock, removeTree, settleTree } from './tree.ts'

const at = await tempDir()
const tree = at('tree')
const context = makeContext()
const packageTime = new Date('2020-02-02T02:02:02Z')
const time = new Date('2026-01-31T12:00:00Z')

describe('the tree of a guest', () => {
  it('gets one time for what the build made, and keeps that of packages', async () => {
    await mkdir(tree)
    const began = await readFileClock(at('.'))
    await mkdir(join(tree, 'var/lib/apt/lists/partial'), { recursive: true })
    await mkdir(join(tree, 'dev'))
    await writeFile(join(tree, 'var/lib/apt/lists/Packages'), 'x')
    await writeFile(join(tree, 'dev/null'), '')
    await writeFile(join(tree, 'made'), 'made')
    await writeFile(join(tree, 'packaged'), 'packaged')
    await link(join(tree, 'packaged'), join(tree, 'same'))
    await symlink('nowhere', join(tree, 'link'))
    await utimes(join(tree, 'packaged'), packageTime, packageTime)
    await settleTree(tree, { began, time, launcher: [] }, context)
    const mtime = async (name: string) => (await stat(join(tree, name))).mtime
    assert.deepEqual(await mtime('made'), time)
    assert.deepEqual(await mtime('.'), time)
    assert.deepEqual(await mtime('packaged'), packageTime)
    assert.deepEqual(await readdir(join(tree, 'dev')), [])
    assert.deepEqual(await readdir(join(tree, 'var/lib/apt/lists')), ['partial'])
  })

  it('is counted, each file once', async () => {
    assert.deepEqual(await countTree(tree, [], context), {
      files: 2,
      directories: 7,
      links: 1,
      others: 0,
      bytes: 12,
    })
  })

  it('is removed with all it holds', async () => {
    await removeTree(tree, [])
    await removeTree(tree, [])
    await assert.rejects(stat(tree), { code: 'ENOENT' })
  })
})
