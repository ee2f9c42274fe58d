import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openDatabase } from '../../database/open-database.ts'
import { makeContext } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { Lease } from '../../tasks/task.ts'
import { Mask } from './_mask.ts'
import { RowWriter } from './_row-writer.ts'

const at = await tempDir()
const context = makeContext()
const held: Pick<Lease, 'guard'> = { guard: async () => {} }

/** A writer that writes down what it writes. */
async function open(name: string) {
  const database = await openDatabase({ sqlite: at(name) }, [], context)
  const written: object[] = []
  const failed: unknown[] = []
  const writer = new RowWriter<Readonly<Record<string, unknown>>>({
    database,
    lease: held,
    mask: new Mask(),
    now: context.now,
    nothing: {},
    merge: (earlier, later) => ({ ...earlier, ...later }),
    writeIn: async (_tx, change, { entries }) => {
      written.push({ ...change, told: entries.map(({ text }) => text) })
    },
    onWritten: () => {},
    onError: (error) => failed.push(error),
  })
  return { writer, written, failed, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
}

const isBusy = async () => {
  throw new Failure('DATABASE_BUSY', 'for tests')
}

describe('what is written of a work', () => {
  it('is what has changed last, with all that was told, in its order', async () => {
    await using scene = await open('order.db')
    const { writer, written } = scene
    writer.add({ percent: 1, activity: 'a' })
    writer.log.event('one')
    writer.add({ percent: 2 })
    await writer.write()
    writer.log.event('two')
    await writer.end({ status: 'COMPLETE' }, async () => {})
    await writer.close()
    assert.deepEqual(written, [
      { percent: 2, activity: 'a', told: ['one'] },
      { status: 'COMPLETE', told: ['two'] },
    ])
  })

  it('is never its end, unless its task has ended with it', async () => {
    await using scene = await open('end.db')
    const { writer, written, failed } = scene
    writer.add({ percent: 50 })
    await assert.rejects(writer.end({ status: 'COMPLETE' }, isBusy), failsWith('DATABASE_BUSY'))
    written.length = 0
    await writer.close()
    assert.deepEqual([written, failed], [[{ percent: 50, told: [] }], []])
  })

  it('is nothing that comes after it was closed', async () => {
    await using scene = await open('closed.db')
    const { writer, written } = scene
    await writer.close()
    writer.log.event('late')
    await writer.write()
    assert.deepEqual(written, [])
  })
})
