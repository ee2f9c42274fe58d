import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { it } from 'node:test'
import { tempDir } from '../testing/temp-dir.ts'
import { clearSpool, spoolPath } from './spool.ts'

const inTemp = await tempDir()

it('removes from the spool what a process left that is no more, and nothing else', async () => {
  const directory = inTemp('')
  const ours = spoolPath(directory, () => 'one')
  const dead = ours.replace(`-${process.pid}-`, '-4194305-') // above the largest number of a process
  for (const path of [ours, dead, join(directory, 'of others')]) await writeFile(path, 'bytes')
  await clearSpool(directory)
  assert.deepEqual((await readdir(directory)).sort(), [basename(ours), 'of others'].sort())
})
