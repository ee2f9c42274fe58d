import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { MiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { storeContract } from '../../testing/store-contract.ts'
import { openStore } from '../open-store.ts'
import { memoryDriver } from './memory.ts'

const context = { ...makeContext(), dataDir: '/nowhere' }
const open = async (options = {}) =>
  await openStore({ id: 'm', type: 'memory', options }, memoryDriver, context)

storeContract('memory', async () => ({ store: await open() }))

it('takes no more than it was told, and gives room back', async () => {
  await using store = await open({ max_size: 2 * MiB })
  await assert.rejects(store.create('announced', 3 * MiB), failsWith('STORE_FULL'))
  {
    await using writer = await store.create('grows')
    await writer.write(0, Buffer.alloc(MiB))
    await assert.rejects(writer.write(MiB, Buffer.alloc(2 * MiB)), failsWith('STORE_FULL'))
  }
  assert.equal(await store.free(), 2 * MiB)
  await using writer = await store.create('fits')
  await writer.write(2 * MiB - 1, Buffer.from('x'))
  await writer.finish(2 * MiB)
  assert.equal(await store.free(), 0)
})
