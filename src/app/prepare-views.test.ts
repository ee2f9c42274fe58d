import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import type { Image } from '../images/image.ts'
import { sampleImage } from '../testing/sample-image.ts'
import { prepareViews } from './prepare-views.ts'

const imageOf = (id: string, diskFormat: string, store = 'disk') =>
  sampleImage({ id, diskFormat, locations: [{ id, store, key: id, url: '', metadata: {} }] })
const stores = { get: (id: string) => ({ driver: id === 'disk' ? 'file' : 's3' }) }

describe('views are prepared', () => {
  it('of disks in files of this machine that came without a map', async () => {
    const asked: string[] = []
    const content = {
      formats: async ({ id }: Image) => {
        asked.push(id)
        return []
      },
    }
    const prepare = prepareViews({ content, stores }, makeContext())
    await prepare(imageOf('mapped', 'raw'))
    await prepare(imageOf('no-disk', 'iso'))
    await prepare(imageOf('far', 'qcow2', 'bucket'))
    await prepare(imageOf('near', 'qcow2'))
    assert.deepEqual(asked, ['near'])
  })

  it('one after the other, whatever becomes of one', async () => {
    const told: string[] = []
    const content = {
      formats: async ({ id }: Image) => {
        told.push(`begin ${id}`)
        await Promise.resolve()
        told.push(`end ${id}`)
        if (id === 'one') throw new Error('unreadable')
        return []
      },
    }
    const prepare = prepareViews({ content, stores }, makeContext())
    await Promise.all([prepare(imageOf('one', 'vmdk')), prepare(imageOf('two', 'vhdx'))])
    assert.deepEqual(told, ['begin one', 'end one', 'begin two', 'end two'])
  })
})
