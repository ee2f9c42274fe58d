import assert from 'node:assert/strict'
import { test } from 'node:test'
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

test('a node keeps its name in its directory, and another has another', async () => {
  let given = 0
  const newId = () => `node-name-${++given}`
  await makeDataDir(at('one'))
  await makeDataDir(at('other'))
  const name = await readNodeId(at('one'), newId)
  assert.equal(await readNodeId(at('one'), newId), name)
  assert.notEqual(await readNodeId(at('other'), newId), name)
})
