import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { openTestService } from '../testing/test-service.ts'
import type { NewImage } from './images.ts'
import { canMove, checkMove, IMAGE_STATUSES } from './status.ts'

let now = new Date('2026-07-01T12:00:00Z')
const context = { now: () => now }
const service = await openTestService({ context })
const delayed = await openTestService({ context, config: { image: { delayed_delete_s: 60 } } })
after(async () => {
  await service[Symbol.asyncDispose]()
  await delayed[Symbol.asyncDispose]()
})

type Service = typeof service

async function create(of: Service, given: Partial<NewImage> = {}): Promise<string> {
  const { id } = await of.images.create({
    id: of.context.newId(),
    name: null,
    visibility: 'shared',
    protected: false,
    hidden: false,
    owner: 'p',
    containerFormat: 'bare',
    diskFormat: 'raw',
    minRamMiB: 0,
    minDiskGiB: 0,
    tags: [],
    properties: {},
    ...given,
  })
  return id
}

/** Gives the image an object in each of the stores, and makes it active. */
async function fill(
  { database, catalog, stores, context }: Service,
  id: string,
  ...names: string[]
) {
  for (const name of names) {
    const store = stores.get(name)
    const key = `${id}.${context.newId().slice(0, 8)}`
    await using writer = await store.create(key, 1)
    await writer.write(0, Buffer.from('x'))
    await writer.finish(1)
    const location = { id: context.newId(), store: name, key, url: store.locate(key), metadata: {} }
    await database.write((tx) => catalog.addLocation(tx, id, location))
  }
  await database.write((tx) => catalog.update(tx, id, { status: 'active', size: 1 }))
}

/** Keys of the objects in a store. */
async function keysIn({ stores }: Service, name: string): Promise<string[]> {
  return await Array.fromAsync(stores.get(name).list?.() ?? [], ({ key }) => key)
}

/** Until the workers have done all that there is to do. */
async function settled({ ledger }: Service): Promise<void> {
  for (;;) {
    const unfinished = await Promise.all(
      (['pending', 'processing'] as const).map((status) => ledger.list({ status, hidden: true })),
    )
    if (unfinished.flat().length === 0) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a deleted image', () => {
  it('is gone at once, and its objects soon', async () => {
    const id = await create(service)
    await fill(service, id, 'fast', 'slow')
    await service.images.delete(id)
    assert.equal(await service.catalog.get(id), undefined)
    await settled(service)
    assert.deepEqual([await keysIn(service, 'fast'), await keysIn(service, 'slow')], [[], []])
    await assert.rejects(service.images.delete(id), failsWith('IMAGE_NOT_FOUND'))
  })

  it('leaves in peace what stands in stores that are only read', async () => {
    const said: string[] = []
    const note = (event: string) => void said.push(event)
    const log = { debug: note, info: note, warn: note, error: note }
    await using reading = await openTestService({
      context: { log },
      config: {
        stores: {
          default: 'fast',
          list: [
            { id: 'fast', type: 'memory' },
            { id: 'web', type: 'http' },
          ],
        },
      },
    })
    const { database, catalog, images } = reading
    const url = 'https://example.org/shared'
    const ids = [await create(reading), await create(reading)]
    for (const id of ids) {
      const location = { id: `${id}-1`, store: 'web', key: url, url, metadata: {} }
      await database.write((tx) => catalog.addLocation(tx, id, location))
      await database.write((tx) => catalog.update(tx, id, { status: 'active', size: 1 }))
    }
    for (const id of ids) await images.delete(id)
    await settled(reading)
    assert.deepEqual(
      said.filter((event) => event.startsWith('object.')),
      [],
    )
  })

  it('was not protected', async () => {
    const id = await create(service, { protected: true })
    await assert.rejects(service.images.delete(id), failsWith('IMAGE_PROTECTED'))
  })

  it('stops the work on it', async () => {
    const id = await create(service)
    const { database, ledger, context } = service
    const task = { id: context.newId(), type: 'upload', owner: 'p', subject: id, input: {} }
    const take = await database.write((tx) => ledger.begin(tx, task))
    await using lease = take()
    await service.images.delete(id)
    assert.equal(lease.signal.aborted, true)
    await lease.finish({ status: 'failure', message: 'deleted' })
  })

  it('waits with its data for as long as is configured, and is not found meanwhile', async () => {
    const { images, catalog } = delayed
    const id = await create(delayed)
    await fill(delayed, id, 'fast')
    await images.delete(id)
    assert.equal((await catalog.get(id))?.status, 'pending_delete')
    await assert.rejects(images.delete(id), failsWith('IMAGE_NOT_FOUND'))
    await assert.rejects(
      images.change(id, () => ({ name: 'x' })),
      failsWith('IMAGE_NOT_FOUND'),
    )
    now = new Date(now.getTime() + 59_000)
    assert.equal(await images.purge(), 0)
    assert.equal((await keysIn(delayed, 'fast')).length, 1)
    now = new Date(now.getTime() + 1000)
    assert.equal(await images.purge(), 1)
    await settled(delayed)
    assert.deepEqual(await keysIn(delayed, 'fast'), [])
    assert.equal(await catalog.get(id), undefined)
  })

  it('without data waits for nothing', async () => {
    const id = await create(delayed)
    await delayed.images.delete(id)
    assert.equal(await delayed.catalog.get(id), undefined)
  })
})

describe('data of one store', () => {
  it('is removed from there, but for the only copy', async () => {
    const id = await create(service)
    await fill(service, id, 'fast', 'slow')
    const { images } = service
    const left = await images.removeFromStore(id, 'slow')
    assert.deepEqual(
      left.locations.map(({ store }) => store),
      ['fast'],
    )
    await settled(service)
    assert.deepEqual(await keysIn(service, 'slow'), [])
    await assert.rejects(images.removeFromStore(id, 'slow'), failsWith('LOCATION_NOT_FOUND'))
    await assert.rejects(images.removeFromStore(id, 'fast'), failsWith('FORBIDDEN'))
  })

  it('stays while the image is worked on', async () => {
    const id = await create(service)
    await fill(service, id, 'fast', 'slow')
    const { database, ledger, context, images } = service
    const task = { id: context.newId(), type: 'upload', owner: 'p', subject: id, input: {} }
    await using lease = (await database.write((tx) => ledger.begin(tx, task)))()
    await assert.rejects(images.removeFromStore(id, 'slow'), failsWith('IMAGE_BUSY'))
    await lease.finish({ status: 'success', message: '' })
  })
})

describe('the status of an image', () => {
  it('moves as in the Image API, and nowhere else', () => {
    const moves = IMAGE_STATUSES.map((from) => [
      from,
      IMAGE_STATUSES.filter((to) => canMove(from, to)).join(' '),
    ])
    assert.deepEqual(Object.fromEntries(moves), {
      queued: 'saving uploading importing active deleted',
      saving: 'queued active deleted',
      uploading: 'queued importing deleted',
      importing: 'queued active deleted',
      active: 'deactivated pending_delete deleted',
      deactivated: 'active pending_delete deleted',
      pending_delete: 'active deleted',
      deleted: '',
    })
    assert.throws(
      () => checkMove({ id: 'x', status: 'deleted' }, 'active'),
      failsWith('IMAGE_STATE'),
    )
  })
})
