import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findWorkingFiles, removeLeftovers, startTimeOf, workingPath } from './leftovers.ts'
import { exitOf, startProcess } from './process.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-leftovers-test-'))
after(() => rm(directory, { recursive: true }))

test('removes working files of processes that are gone, and no others', async () => {
  const image = join(directory, 'disk.raw')
  const mine = workingPath(image, 'copy')
  const child = startProcess(['true'])
  const { pid } = child
  await exitOf(child, 'true')
  const files = [
    mine,
    `${directory}/.disk.raw.ingot-${pid}-12345-copy`,
    `${directory}/.other.raw.ingot-${pid}-12345-copy`,
    image,
  ]
  for (const path of files) await writeFile(path, '')
  assert.deepEqual(await removeLeftovers(image), [files[1]])
  assert.deepEqual((await readdir(directory)).length, 3)
  assert.deepEqual(await findWorkingFiles(image), [{ path: mine, pid: process.pid, alive: true }])
})

test('a later process with the same number is not the one that made the file', async () => {
  const image = join(directory, 'reused.raw')
  const path = join(
    directory,
    `.reused.raw.ingot-${process.pid}-${(startTimeOf(process.pid) ?? 0) - 1}-copy`,
  )
  await writeFile(path, '')
  assert.deepEqual(await removeLeftovers(image), [path])
})

test('what a dead process made for a working file of its own is removed with it', async () => {
  const image = join(directory, 'nested.raw')
  const nested = workingPath(workingPath(image, 'clusters'), 'part')
  const dead = nested.replace(/ingot-\d+-\d+/, `ingot-${process.pid}-1`)
  await writeFile(dead, '')
  assert.deepEqual(await removeLeftovers(image), [dead])
})
