import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { readTargetContent } from './read-target-content.ts'

const inDir = await tempDir()
const told: unknown[] = []
const log = { warn: (event: string, fields?: unknown) => void told.push(event, fields) }

async function read(text: string | Uint8Array) {
  const file = inDir('target_content.xml')
  await writeFile(file, text)
  return await readTargetContent(file, log)
}

test('an operator who names no file puts nothing into images', async () => {
  assert.deepEqual(await readTargetContent(undefined, log), [])
})

test('every fault of the file is told with its place, as a fault of the configuration', async () => {
  for (const [text, place] of [
    ['<template_includes>\n  <include tarjet="ec2"/>\n  <package/>\n</template_includes>', ':2:'],
    ['<template_includes>\n <include><packages><package/></packages></include>', ':'],
    ['<template/>', ':1:1: wanted <template_includes>'],
    [Buffer.from('<template_includes>\xe9', 'latin1'), ':1:20: wanted a template in UTF-8'],
  ] as const)
    await assert.rejects(read(text), (error) => {
      assert.ok(isFailure(error, 'CONFIG_INVALID'), String(error))
      assert.ok(error.message.includes(`target_content.xml${place}`), error.message)
      return true
    })
  await assert.rejects(readTargetContent(inDir('none'), log), failsWith('FILE_NOT_FOUND'))
})

test('what is odd is told, and the rest is taken', async () => {
  const content = await read('<template_includes><include os="Fedora"/></template_includes>')
  assert.equal(content.length, 1)
  assert.match(JSON.stringify(told), /target_content\.xml:1:\d+: warning: .*never taken/)
})
