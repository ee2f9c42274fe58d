import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { isFailure } from '../../base/failure.ts'
import { runProcess } from '../../base/process.ts'
import type { UploadData } from '../../api/client.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { withUploadOf } from './_upload.ts'

const temp = await tempDir()
const context = makeContext({})

async function send({ size, stream }: UploadData) {
  return { size, text: Buffer.concat(await Array.fromAsync(stream)).toString() }
}

describe('a file that is sent', () => {
  it('is sent with its size', async () => {
    writeFileSync(temp('file'), 'data')
    assert.deepEqual(await withUploadOf(temp('file'), context, send), { size: 4, text: 'data' })
  })

  it('has no size that it could tell when it is a pipe', async () => {
    await runProcess(['mkfifo', temp('pipe')])
    const [sent] = await Promise.all([
      withUploadOf(temp('pipe'), context, send),
      runProcess(['cp', temp('file'), temp('pipe')]),
    ])
    assert.deepEqual(sent, { size: undefined, text: 'data' })
  })

  it('must not be a directory', async () => {
    await assert.rejects(
      withUploadOf(temp(''), context, send),
      (error) => isFailure(error, 'FILE_UNREADABLE') && error.message.endsWith(' is a directory'),
    )
  })
})
