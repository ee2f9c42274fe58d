import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { holdDataDir, makeDataDir, readNodeId } from './data-dir.ts'

const at = await tempDir()

test('one server holds a data directory, the next is refused and told who has it', async () => {
  const directory = at('deep/data')
  await makeDataDir(directory)
  const held = await holdDataDir(directory)
  await assert.rejects(holdDataDir(directory), (error) => {
    assert.match(String(error), new RegExp(`process ${process.pid}`))
    return failsWith('DATA_DIR_HELD')(error)
  })
  await held[Symbol.asyncDispose]()
  await (await holdDataDir(directory))[Symbol.asyncDispose]()
})

test('a place where no directory can be made is told, with what to try', async () => {
  writeFileSync(at('file'), '')
  const wrong = [at('file'), at('file/below')]
  if (process.platform === 'linux') wrong.push('/proc/nothing/can-be-made')
  for (const path of wrong)
    await assert.rejects(makeDataDir(path), (error) => {
      assert.match(String(error), /no directory can be made at /)
      return isFailure(error, 'FILE_UNREADABLE') && /--data-dir/.test(error.fix ?? '')
    })
})

test('a directory that two make at the same time is made', async () => {
  const made = Array.from({ length: 20 }, async () => await makeDataDir(at('by/several/at/once')))
  await Promise.all(made)
})

test('a node keeps its name in its directory, and another has another', async () => {
  let given = 0
  const newId = () => `node-name-${++given}`
  await makeDataDir(at('one'))
  await makeDataDir(at('other'))
  const name = await readNodeId(at('one'), newId)
  assert.equal(await readNodeId(at('one'), newId), name)
  assert.notEqual(await readNodeId(at('other'), newId), name)
})
