import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { type JeosOrder, useJeosCache } from './jeos-cache.ts'

const inDir = await tempDir()

/** A build that installs by writing `content`; how often builds did is counted. */
function builds(name: string) {
  let installed = 0
  const order = (path: string, inputs: readonly string[]): JeosOrder => ({
    inputs,
    directory: inDir(name),
    path: inDir(path),
    context: makeContext(),
  })
  const build = async (path: string, inputs: readonly string[], content: string) =>
    await useJeosCache(order(path, inputs), async () => {
      installed++
      await writeFile(inDir(path), content)
    })
  return { build, count: () => installed }
}

test('a disk is installed once for the same inputs, and again for others', async () => {
  const { build, count } = builds('a')
  assert.equal(await build('one', ['x', 'y'], 'installed'), false)
  assert.equal(await build('two', ['x', 'y'], 'never'), true)
  assert.equal(await readFile(inDir('two'), 'utf8'), 'installed')
  assert.equal(await build('three', ['xy'], 'other'), false)
  assert.equal(count(), 2)
})

test('what a build does to its disk does not reach what is kept', async () => {
  const { build } = builds('b')
  await build('four', ['x'], 'installed')
  await writeFile(inDir('four'), 'customised')
  await build('five', ['x'], 'never')
  await writeFile(inDir('five'), 'customised')
  await build('six', ['x'], 'never')
  assert.equal(await readFile(inDir('six'), 'utf8'), 'installed')
})

test('an installation that failed leaves nothing that is taken, and of two at a time one installs', async () => {
  const { build, count } = builds('c')
  const failing = useJeosCache(
    { inputs: ['x'], directory: inDir('c'), path: inDir('seven'), context: makeContext() },
    () => Promise.reject(new Error('no')),
  )
  await assert.rejects(failing, /no/)
  assert.deepEqual(
    (await readdir(inDir('c'))).filter((name) => name.endsWith('.raw')),
    [],
  )
  const kept = await Promise.all([
    build('eight', ['x'], 'installed'),
    build('nine', ['x'], 'installed'),
  ])
  assert.deepEqual(kept.toSorted(), [false, true])
  assert.equal(count(), 1)
})
