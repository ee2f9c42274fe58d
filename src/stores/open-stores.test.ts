import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { isFailure } from '../base/failure.ts'
import { Type } from '../schema/type.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { fileDriver } from './drivers/file.ts'
import { memoryDriver } from './drivers/memory.ts'
import { openStores, type StoresConfig } from './open-stores.ts'
import { defineStoreDriver } from './store.ts'

const at = await tempDir()
const closed: string[] = []
const closing = defineStoreDriver({
  name: 'closing',
  summary: 'for this test',
  options: Type.Object({ name: Type.String(), fails: Type.Optional(Type.Boolean()) }),
  open: async ({ name, fails }, context) => {
    if (fails) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    const store = await memoryDriver.open({}, context)
    store[Symbol.asyncDispose] = async () => void closed.push(name)
    return store
  },
})
const open = async (config: StoresConfig) =>
  await openStores(config, [fileDriver, memoryDriver, closing], {
    ...makeContext(),
    dataDir: at('service'),
  })

describe('opening the configured stores', () => {
  it('sorts them by weight, and finds each by its name', async () => {
    await using stores = await open({
      default: 'b',
      list: [
        { id: 'a', type: 'memory' },
        { id: 'b', type: 'file', description: 'of files' },
        { id: 'c', type: 'memory', weight: 5 },
        { id: 'd', type: 'memory', weight: -1 },
      ],
    })
    assert.deepEqual(
      stores.all.map(({ id }) => id),
      ['c', 'a', 'b', 'd'],
    )
    assert.equal(stores.default, stores.get('b'))
    assert.equal(stores.default.description, 'of files')
    assert.throws(() => stores.get('e'), failsWith('STORE_UNKNOWN'))
    assert.throws(() => stores.get('constructor'), failsWith('STORE_UNKNOWN'))
  })

  it('tells all that is wrong with the configuration at once', async () => {
    const wrong = open({
      default: 'main',
      list: [
        { id: 'a', type: 'fil' },
        { id: 'a', type: 'memory', options: { max_size: -1 } },
        { id: 'b', type: 'file', options: { dir: '/tmp' } },
      ],
    })
    await assert.rejects(wrong, (error) => {
      assert.ok(isFailure(error, 'CONFIG_INVALID'))
      assert.deepEqual(
        (error.details['faults'] as string[]).map((fault) => fault.replace(/;.*/, '')),
        [
          'two stores are called a',
          'there is no store main, the default',
          "store a: no driver 'fil'",
          'store a: options.max_size: wanted at least 0, found -1',
          "store b: options.dir: unknown key 'dir'",
        ],
      )
      return true
    })
  })

  it('refuses two names for one place, which would take each other’s objects for nobody’s', async () => {
    const options = { data_dir: at('one-place') }
    await assert.rejects(
      open({
        default: 'a',
        list: [
          { id: 'a', type: 'file', options },
          { id: 'b', type: 'file', options },
        ],
      }),
      /stores a and b are the same place/,
    )
  })

  it('closes those that are open when one cannot be opened', async () => {
    await assert.rejects(
      open({
        default: 'a',
        list: [
          { id: 'a', type: 'closing', options: { name: 'first' } },
          { id: 'b', type: 'closing', options: { name: 'second', fails: true } },
        ],
      }),
      failsWith('STORE_AWAY'),
    )
    assert.deepEqual(closed, ['first'])
  })
})
