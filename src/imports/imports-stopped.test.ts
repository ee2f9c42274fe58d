import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ImportBench,
  importOf,
  type ImportServer,
  outcomeOf,
  uploadOf,
} from '../testing/import-bench.ts'
import { DISK, importBenches } from '../testing/import-scene.ts'
import { openWebServer } from '../testing/web-server.ts'

const openBench = await importBenches()

/** Begins a download that waits in the middle of being written. */
async function beginStuck(bench: ImportBench, url: string, server: ImportServer) {
  const image = await bench.image()
  const parameters = { uri: `${url}/disk` }
  const task = await server.imports.begin(image, importOf({ parameters }))
  const writing = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  bench.hook('a', async (what) => {
    if (what !== 'write') return
    writing.resolve()
    await goOn.promise
  })
  const work = server.drain()
  await writing.promise
  return { image, task, goOn: goOn.resolve, die: goOn.reject, work }
}

describe('an import that is stopped', () => {
  it('is begun anew by whoever comes by when its server dies, and leaves nothing of the first attempt', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const dying = await bench.server('dying')
    const { image, task, die, work } = await beginStuck(bench, web.url, dying)
    await bench.kill(dying.node)
    bench.hook('a', undefined)
    const other = await bench.server('other')
    await other.worker.sweep()
    await other.drain()
    die(new Error('its process is gone'))
    await work.catch(() => {})
    const ended = await outcomeOf(other, task)
    assert.deepEqual([ended.status, ended.attempts], ['success', 2])
    const now = await other.catalog.get(image.id)
    assert.ok(now)
    assert.deepEqual([now.status, now.locations.length], ['active', 1])
    assert.ok((await bench.content(now, 'a')).equals(DISK))
    assert.deepEqual(
      await bench.keys('a'),
      now.locations.map(({ key }) => key),
    )
  })

  it('by being cancelled puts the image back', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { image, task, goOn, work } = await beginStuck(bench, web.url, one)
    assert.ok(task)
    await one.imports.cancel(task)
    goOn()
    await work
    const ended = await outcomeOf(one, task)
    assert.equal(ended.status, 'failure')
    assert.match(ended.message, /cancel/i)
    const now = await one.catalog.get(image.id)
    assert.equal(now?.status, 'queued')
    await one.drain()
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('by the deletion of its image leaves nothing', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { image, task, goOn, work } = await beginStuck(bench, web.url, one)
    await one.images.delete(image.id)
    goOn()
    await work
    assert.equal((await outcomeOf(one, task)).status, 'failure')
    assert.equal(await one.catalog.get(image.id), undefined)
    await one.drain()
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('after the first of its stores goes on with the others', async () => {
    await using bench = await openBench({ import: { parallel_stores: 1 } })
    const { id } = await bench.image()
    const dying = await bench.server('dying')
    await dying.uploads.stage(uploadOf(id, DISK))
    const image = await dying.catalog.get(id)
    assert.ok(image)
    const request = importOf({
      method: 'glance-direct',
      stores: ['a', 'b', 'c'],
      allMustSucceed: false,
    })
    const task = await dying.imports.begin(image, request)
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    bench.hook('c', async () => {
      reached.resolve()
      await goOn.promise
    })
    const work = dying.drain()
    await reached.promise
    await bench.kill(dying.node)
    bench.hook('c', undefined)
    const other = await bench.server('other')
    await other.worker.sweep()
    await other.drain()
    goOn.reject(new Error('its process is gone'))
    await work.catch(() => {})
    assert.equal((await outcomeOf(other, task)).status, 'success')
    const now = await other.catalog.get(id)
    assert.deepEqual(
      now?.locations.map(({ store }) => store),
      ['a', 'b', 'c'],
    )
    for (const store of ['a', 'b', 'c']) assert.equal((await bench.keys(store)).length, 1, store)
  })
})
