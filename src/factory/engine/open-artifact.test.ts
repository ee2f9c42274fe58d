import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { it } from 'node:test'
import { Type } from '../../schema/type.ts'
import { baseOrder, openTestFactory } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { defineCloudTarget } from '../cloud-target.ts'

const at = await tempDir()

it('a file that is made of an image is given up when nobody waits for it any more', async () => {
  const begun = Promise.withResolvers<void>()
  const slow = defineCloudTarget({
    name: 'slow',
    summary: 'for tests',
    options: Type.Object({}),
    format: () => 'raw',
    openArtifact: async ({ context: { signal } }) => {
      begun.resolve()
      return await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    },
  })
  await using bench = await openTestFactory({ directory: at('slow'), targets: [slow] })
  const image = await bench.ended(
    await bench.factory.orderTarget({ ...baseOrder(), target: 'slow' }),
  )
  const client = new AbortController()
  const opening = bench.factory.openArtifact(image.id, client.signal)
  await begun.promise
  client.abort(new Error('gone'))
  await assert.rejects(opening, /gone/)
  assert.deepEqual(readdirSync(bench.workDirectory), [])
})
