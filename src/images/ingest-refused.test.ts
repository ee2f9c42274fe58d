import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { openStore } from '../stores/open-store.ts'
import { failsWith } from '../testing/fails-with.ts'
import { inChunks, openIngestBench } from '../testing/ingest-bench.ts'
import { ingest } from './ingest.ts'

const bench = await openIngestBench()
const { context, file, stores, disk, qcow2, planOf, taken, isLeftNothing, isRefused } = bench
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('of data that is not taken nothing is left', () => {
  it('when it is not what was announced', async () => {
    for (const size of [disk.length - 1, disk.length + 1])
      for (const plan of [{ size }, { size, decompress: true }, { size, store: file }])
        await isRefused('REQUEST_INVALID', inChunks(disk), plan)
  })

  it('when it is more than may be stored, and before it is read if it was announced', async () => {
    for (const [code, plan] of [
      ['LIMIT_EXCEEDED', { maxSize: MiB }],
      ['QUOTA_EXCEEDED', { quota: MiB }],
    ] as const) {
      await isRefused(code, inChunks(disk), plan)
      const nobody = { [Symbol.asyncIterator]: () => assert.fail('it was read') }
      await isRefused(code, nobody, { ...plan, size: disk.length })
    }
  })

  it('when it has another digest than was expected', async () => {
    const packed = gzipSync(qcow2)
    for (const plan of [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]) {
      const bytes = 'decompress' in plan ? packed : qcow2
      const algorithm = 'sha256'
      await taken(bytes, { ...plan, expected: { algorithm, value: sha256(bytes) } })
      const expected = { algorithm, value: sha256(disk) }
      await isRefused('DIGEST_MISMATCH', inChunks(bytes), { ...plan, expected })
    }
  })

  it('when the stream breaks, wherever', async () => {
    const plans = [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]
    for (const store of stores)
      for (const plan of plans)
        for (const length of [0, 1, 70_000, qcow2.length - 1]) {
          const broken = async function* () {
            yield* inChunks(qcow2.subarray(0, length))
            throw new Failure('REMOTE_LOST', 'gone')
          }
          await isRefused('REMOTE_LOST', broken(), { store, ...plan })
        }
  })

  it('when it is interrupted while nothing comes', async () => {
    for (const plan of [{}, { decompress: true }, { diskFormat: 'qcow2', convertTo: 'raw' }]) {
      const controller = new AbortController()
      const reached = Promise.withResolvers<void>()
      const hanging = async function* () {
        yield qcow2.subarray(0, 100_000)
        reached.resolve()
        await new Promise(() => {})
      }
      const taking = ingest(hanging(), planOf(plan), { ...context, signal: controller.signal })
      await reached.promise
      controller.abort()
      await assert.rejects(taking, failsWith('INTERRUPTED'))
      await isLeftNothing()
    }
  })

  it('when the store is full', async () => {
    const entry = { id: 'small', type: 'memory', options: { max_size: 2 * MiB } }
    await using small = await openStore(entry, memoryDriver, context)
    for (const plan of [{}, { size: disk.length }, { decompress: true }])
      await isRefused('STORE_FULL', inChunks(disk), { store: small, ...plan })
    await isRefused('STORE_FULL', inChunks(qcow2), {
      store: small,
      diskFormat: 'qcow2',
      convertTo: 'raw',
    })
    for await (const { key } of small.list!()) assert.fail(`${key} is left`)
  })
})
